"""Repairs the client's environment, not the client: lets `gnocchi benchmark` hand its work to its worker processes.

The benchmark commands pickle a client object into a pool of processes. With keystoneauth1 from 3.11 on that object holds
locks, and with wrapt its decorated methods are proxies; neither can be pickled, so the program never sends a request,
whatever server it is pointed at. Here locks travel as fresh locks and proxies as "this method of that object". Python
loads this file by itself when its directory is on PYTHONPATH, which only the client tests do.
"""

import copyreg
import threading

try:
    import wrapt
except ImportError:
    wrapt = None

copyreg.pickle(type(threading.Lock()), lambda lock: (threading.Lock, ()))
if wrapt is not None:
    copyreg.pickle(wrapt.BoundFunctionWrapper, lambda method: (getattr, (method.__self__, method.__name__)))
