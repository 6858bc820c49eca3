"""A real Keystone 30 for tests, alone in a directory: SQLite, Fernet tokens, users and projects to test with.

    serve.py DIRECTORY [--port PORT] [--expiration SECONDS] [--clean]

Prints one line of JSON when it answers (also written to DIRECTORY/state.json) and ends when its standard input closes;
with --clean it then removes DIRECTORY.
DIRECTORY/access.log gets one line a request: method, path with query, status. Passwords are `pw-` and the user's name.

Users `a-reader`, `a-member`, `a-admin` have that role (and what Keystone implies by it) in project `a`, and likewise in `b`
and `c`; `nephometer` and `nova` have the role `service` in project `service`; `admin` is administrator of project `admin`
and of the system; `system-reader` reads the system; `other-admin` is administrator of the domain `other`.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import socket
import sys
import threading
import traceback
import urllib.error
import urllib.request
import warnings

warnings.filterwarnings("ignore")

CONF = """
[DEFAULT]
log_file = {dir}/keystone.log
max_token_size = 512
[database]
connection = sqlite:///{dir}/keystone.db
[fernet_tokens]
key_repository = {dir}/fernet
[fernet_receipts]
key_repository = {dir}/fernet
[credential]
key_repository = {dir}/credential
[identity]
password_hash_rounds = 4
[token]
expiration = {expiration}
allow_expired_window = 172800
[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
"""
DEFAULT = {"id": "default"}


def prepare(directory: pathlib.Path, expiration: int) -> None:
    """Configuration and keys. The keys' form is Fernet's: 32 random bytes in URL-safe base 64."""
    (directory / "keystone.conf").write_text(CONF.format(dir=directory, expiration=expiration))
    for repository in ("fernet", "credential"):
        (directory / repository).mkdir(mode=0o700)
        for number in (0, 1):
            (directory / repository / str(number)).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


def manage(directory: pathlib.Path, *arguments: str) -> None:
    """keystone-manage in a child process, which inherits what is imported already."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            sys.argv = ["keystone-manage", "--config-file", str(directory / "keystone.conf"), *arguments]
            keystone.cmd.manage.main()
            status = 0
        except SystemExit as end:
            status = 1 if end.code else 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise SystemExit(f"keystone-manage {arguments[0]} fails: see {directory}/keystone.log")


def logged(app, path: pathlib.Path):
    """`app` with a line in the access log for each request, written before the answer goes out."""
    lock = threading.Lock()
    log = path.open("w", buffering=1)

    def application(environ, start_response):
        def start(status, headers, exc_info=None):
            query = environ.get("QUERY_STRING")
            target = environ.get("PATH_INFO", "") + ("?" + query if query else "")
            with lock:
                log.write(f"{environ['REQUEST_METHOD']} {target} {status.split()[0]}\n")
            return start_response(status, headers, exc_info)

        return app(environ, start)

    return application


class Admin:
    """The administrator, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.me = self.sign_in()
        self.roles = {role["name"]: role["id"] for role in self.call("GET", "/roles")["roles"]}

    def sign_in(self) -> dict:
        user = {"name": "admin", "domain": DEFAULT, "password": "pw-admin"}
        identity = {"methods": ["password"], "password": {"user": user}}
        project = {"project": {"name": "admin", "domain": DEFAULT}}
        headers, answer = self.send("POST", "/auth/tokens", {"auth": {"identity": identity, "scope": project}}, {})
        self.token = headers["X-Subject-Token"]
        return answer["token"]

    def send(self, method: str, path: str, body, headers: dict[str, str]):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
            return answer.headers, json.loads(text) if text else None

    def call(self, method: str, path: str, body=None):
        try:
            return self.send(method, path, body, {"X-Auth-Token": self.token})[1]
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
        # Tokens may be very short-lived here.
        self.sign_in()
        return self.send(method, path, body, {"X-Auth-Token": self.token})[1]

    def make(self, kind: str, **values) -> str:
        made = self.call("POST", "/domains" if kind == "domain" else f"/{kind}s", {kind: values})
        return made[kind]["id"]

    def grant(self, user: str, role: str, place: str) -> None:
        self.call("PUT", f"/{place}/users/{user}/roles/{self.roles[role]}")


def furnish(url: str) -> dict:
    """Projects, users, roles and a catalogue; returns their ids by name."""
    admin = Admin(url)
    projects = {"admin": admin.me["project"]["id"]}
    users = {"admin": admin.me["user"]["id"]}

    def user(name: str, domain: str = "default") -> str:
        users[name] = admin.make("user", name=name, domain_id=domain, password=f"pw-{name}")
        return users[name]

    for name in ("a", "b", "c", "service"):
        projects[name] = admin.make("project", name=name, domain_id="default")
    for name in ("a", "b", "c"):
        for role in ("reader", "member", "admin"):
            admin.grant(user(f"{name}-{role}"), role, f"projects/{projects[name]}")
    for name in ("nephometer", "nova"):
        admin.grant(user(name), "service", f"projects/{projects['service']}")
    admin.grant(user("system-reader"), "reader", "system")
    other = admin.make("domain", name="other")
    admin.grant(user("other-admin", other), "admin", f"domains/{other}")
    return {"projects": projects, "users": users, "domains": {"default": "default", "other": other}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--expiration", type=int, default=3600)
    parser.add_argument("--clean", action="store_true")
    arguments = parser.parse_args()
    # Keystone reads the same list.
    del sys.argv[1:]
    directory = arguments.directory.resolve()
    prepare(directory, arguments.expiration)
    manage(directory, "db_sync")
    # Bound before the bootstrap, which has to know the port; nobody else can take it from here on.
    listener = socket.create_server(("127.0.0.1", arguments.port), backlog=1024)
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v3"
    urls = [part for kind in ("public", "internal", "admin") for part in (f"--bootstrap-{kind}-url", url)]
    manage(directory, "bootstrap", "--bootstrap-password", "pw-admin", "--bootstrap-region-id", "RegionOne", *urls)
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(directory / "keystone.conf")
    application = logged(keystone.server.wsgi.initialize_public_application(), directory / "access.log")
    # Keystone sends what kills the process to its log alone.
    sys.excepthook = sys.__excepthook__
    server = werkzeug.serving.make_server(
        "127.0.0.1", port, application, threaded=True, request_handler=Quiet, fd=listener.fileno()
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state = {"url": url, "directory": str(directory), **furnish(url)}
    (directory / "state.json.part").write_text(json.dumps(state))
    os.replace(directory / "state.json.part", directory / "state.json")
    print(json.dumps(state), flush=True)
    sys.stdin.buffer.read()
    if arguments.clean:
        shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


import keystone.cmd.manage  # noqa: E402  (after the warnings are off)
import keystone.server.wsgi  # noqa: E402
import werkzeug.serving  # noqa: E402


class Quiet(werkzeug.serving.WSGIRequestHandler):
    """Says nothing about requests: the access log does."""

    def log_request(self, code="-", size="-") -> None:
        pass


if __name__ == "__main__":
    main()
