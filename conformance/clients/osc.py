"""OpenStack's client, unmodified, as any user of the harness's Keystone. Commands run in children of this process, so that
Python starts once."""

import json
import os
import sys
import tempfile
import traceback
from importlib import metadata
from typing import Any, NoReturn

from harness import outcome
from openstackclient import shell

PROJECTS = {"a-member": "a", "b-member": "b", "c-admin": "c", "nova": "service"}


def leave(words: list[str]) -> NoReturn:
    """Runs the client's main function and ends this process as it would."""
    status = 1
    try:
        status = shell.OpenStackShell().run(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class Client:
    """`openstack …` as any user, signed in by `OS_*` variables; `prefix` stands before the words of every command."""

    def __init__(self, url: str, tally: outcome.Outcome, prefix: list[str]) -> None:
        self.url = url
        self.tally = tally
        self.prefix = prefix
        self.ran: list[str] = []

    def say(self, user: str, *words: str) -> tuple[int, str, str]:
        """Exit status, what is shown and what is complained of. A child says it, because the client reads its variables once."""
        self.ran.append(" ".join(words))
        with tempfile.TemporaryFile() as shown, tempfile.TemporaryFile() as complained:
            child = os.fork()
            if child == 0:
                os.dup2(shown.fileno(), 1)
                os.dup2(complained.fileno(), 2)
                os.environ.update(OS_AUTH_URL=self.url, OS_IDENTITY_API_VERSION="3", OS_USERNAME=user, OS_PASSWORD=f"pw-{user}",
                                  OS_USER_DOMAIN_NAME="Default", OS_PROJECT_NAME=PROJECTS[user], OS_PROJECT_DOMAIN_NAME="Default")
                leave([*self.prefix, *words])
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for file in (shown, complained):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return status, texts[0], texts[1]

    def does(self, user: str, *words: str) -> None:
        """One check: the command succeeds."""
        status, _, complained = self.say(user, *words)
        self.tally.check(f"{user}: {' '.join(words)}", status == 0, complained[-400:])

    def shows(self, user: str, *words: str) -> Any:
        """One check: the command succeeds; what it shows."""
        status, shown, complained = self.say(user, *words, "-f", "json")
        good = self.tally.check(f"{user}: {' '.join(words)}", status == 0, complained[-400:])
        return json.loads(shown) if good else None

    def refused(self, user: str, why: str, *words: str) -> None:
        """One check: the command fails, and says why."""
        status, shown, complained = self.say(user, *words)
        good = status != 0 and why in complained
        self.tally.check(f"{user} may not: {' '.join(words)}", good, f"{status}: {shown[-400:]}{complained[-400:]}")

    def every_command_ran(self, distribution: str, group: str, prefix: str) -> None:
        """One check: nothing that the client's package declares was left out; `prefix` is what stands before our words."""
        declared = metadata.distribution(distribution).entry_points
        commands = {entry.name.replace("_", " ").removeprefix(prefix) for entry in declared if entry.group == group}
        missing = [command for command in sorted(commands) if not any(ran.startswith(command) for ran in self.ran)]
        self.tally.check("every command ran", bool(commands) and not missing, ", ".join(missing))
