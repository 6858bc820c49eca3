"""Swift's own container updater over a configuration that is not in /etc/swift, where its program alone looks for it.

    updater.py DIRECTORY CONFIGURATION
"""

import sys

# This folder has a module that is called like the service.
del sys.path[0]

from swift.common import utils  # noqa: E402
from swift.common.daemon import run_daemon  # noqa: E402
from swift.container.updater import ContainerUpdater  # noqa: E402

if __name__ == "__main__":
    utils.set_swift_dir(sys.argv[1])
    run_daemon(ContainerUpdater, sys.argv[2])
