"""Repairs the client's environment, not the client: lets `gnocchi benchmark` hand its work to its worker processes.

The benchmark commands pickle a client object into a pool of processes. With today's keystoneauth1 that object holds locks
and an HTTP adapter that cannot be unpickled, and with wrapt its decorated methods are proxies; so the program never sends
a request, whatever server it is pointed at (real Gnocchi included). Here locks and adapters travel as new ones, and
proxies as "this method of that object". Python loads this file by itself when its directory is on PYTHONPATH, which only
the client tests do.
"""

import copyreg
import threading


def repair() -> None:
    """Registers the reducers; does nothing in an environment without the client's libraries."""
    try:
        import wrapt
        from keystoneauth1 import session
    except ImportError:
        return
    copyreg.pickle(type(threading.Lock()), lambda lock: (threading.Lock, ()))
    copyreg.pickle(session.TCPKeepAliveAdapter, lambda adapter: (session.TCPKeepAliveAdapter, ()))
    copyreg.pickle(wrapt.BoundFunctionWrapper, lambda method: (getattr, (method.__self__, method.__name__)))


repair()
