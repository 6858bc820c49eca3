"""A real Keystone under a proof: started from its own environment, ended with the proof."""

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULT = {"id": "default"}


class Keystone:
    """A running Keystone, as a context manager; `keystone/serve.py` says whom it knows."""

    def __init__(self) -> None:
        environment = subprocess.run([f"{HERE}/venv", "keystone"], check=True, capture_output=True, text=True).stdout.strip()
        self.root = tempfile.mkdtemp(prefix="keystone-")
        self.log_path = os.path.join(self.root, "stderr.log")
        with open(self.log_path, "wb") as log:
            # It ends when its standard input closes, even where this process is killed.
            self.process = subprocess.Popen([f"{environment}/bin/python", f"{HERE}/keystone/serve.py", self.root],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.url = ""

    def __enter__(self) -> "Keystone":
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                said = log.read()[-2000:]
            self.__exit__()
            raise RuntimeError(f"Keystone does not start: {said}")
        self.url = json.loads(line)["url"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)
        shutil.rmtree(self.root, ignore_errors=True)

    def token(self, user: str, project: str) -> str:
        """A fresh token of `user` in `project`."""
        identity = {"methods": ["password"], "password": {"user": {"name": user, "domain": DEFAULT, "password": f"pw-{user}"}}}
        body = {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": DEFAULT}}}}
        request = urllib.request.Request(f"{self.url}/auth/tokens", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.headers["X-Subject-Token"]

    def settings(self) -> str:
        """Arguments of `serve` that make a server ask this Keystone who its callers are."""
        values = {
            "metric_api.auth_mode": "keystone",
            "keystone_authtoken.auth_url": self.url,
            "keystone_authtoken.username": "nephometer",
            "keystone_authtoken.password": "pw-nephometer",
            "keystone_authtoken.project_name": "service",
            "keystone_authtoken.default_domain_name": "Default",
            "keystone_authtoken.interface": "public",
        }
        return " ".join(f"--set {key}={value}" for key, value in values.items())
