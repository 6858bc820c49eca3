"""Serves a WSGI application of one of OpenStack's services, many requests at a time.

    wsgi.py PORT MODULE ATTRIBUTE [arguments of the service]

`MODULE:ATTRIBUTE` is the application, or where its name ends in `()` what makes it.
"""

import importlib
import sys

import werkzeug.serving


class Quiet(werkzeug.serving.WSGIRequestHandler):
    """Says nothing about requests: the service's log does."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


def main() -> None:
    """Hands the service its arguments and serves."""
    # This folder has modules that are called like the services.
    del sys.path[0]
    port, module, attribute = sys.argv[1:4]
    sys.argv = [module, *sys.argv[4:]]
    application = getattr(importlib.import_module(module), attribute.removesuffix("()"))
    if attribute.endswith("()"):
        application = application()
    server = werkzeug.serving.make_server("127.0.0.1", int(port), application, threaded=True, request_handler=Quiet)
    server.serve_forever()


if __name__ == "__main__":
    main()
