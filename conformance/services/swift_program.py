"""A program of Swift's over a swift.conf that is not in /etc/swift, where most of it looks.

    swift_program.py DIRECTORY PROGRAM [arguments of the program]
"""

import runpy
import sys

# This folder has a module that is called like the service.
del sys.path[0]

from swift.common import constraints, storage_policy, utils  # noqa: E402

if __name__ == "__main__":
    utils.set_swift_dir(sys.argv[1])
    storage_policy.reload_storage_policies()
    constraints.reload_constraints()
    del sys.argv[:2]
    runpy.run_path(sys.argv[0], run_name="__main__")
