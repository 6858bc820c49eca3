"""A real Keystone under a proof: started from its own environment, ended with the proof."""

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from email.message import Message
from typing import Any

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

    def send(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[Message, Any]:
        """Headers and JSON of the answer to a request."""
        headers = {"Content-Type": "application/json", "X-Auth-Token": token}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return answer.headers, json.loads(text) if text else None

    def token(self, user: str, project: str) -> str:
        """A fresh token of `user` in `project`."""
        identity = {"methods": ["password"], "password": {"user": {"name": user, "domain": DEFAULT, "password": f"pw-{user}"}}}
        body = {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": DEFAULT}}}}
        return self.send("POST", "/auth/tokens", body)[0]["X-Subject-Token"]

    def administer(self, method: str, path: str, body: Any = None) -> Any:
        """A request of the administrator."""
        return self.send(method, path, body, self.token("admin", "admin"))[1]

    def find(self, kind: str, name: str) -> str:
        """The id of a user, project, role or domain."""
        return self.administer("GET", f"/{kind}s?name={name}")[f"{kind}s"][0]["id"]

    def add_endpoint(self, service_type: str, url: str) -> None:
        """Puts a service with one public endpoint into the catalogue."""
        made = self.administer("POST", "/services", {"service": {"type": service_type, "name": service_type}})
        endpoint = {"service_id": made["service"]["id"], "interface": "public", "region_id": "RegionOne", "url": url}
        self.administer("POST", "/endpoints", {"endpoint": endpoint})

    def add_service_user(self, name: str) -> None:
        """A user with the roles `service` and `admin` in project `service`, as installation guides make them."""
        user = {"name": name, "domain_id": DEFAULT["id"], "password": f"pw-{name}"}
        self.administer("POST", "/users", {"user": user})
        for role in ("service", "admin"):
            self.grant(name, role, "service")

    def grant(self, user: str, role: str, project: str) -> None:
        """Gives a user a role in a project."""
        ids = {kind: self.find(kind, name) for kind, name in (("project", project), ("user", user), ("role", role))}
        self.administer("PUT", f"/projects/{ids['project']}/users/{ids['user']}/roles/{ids['role']}")

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
