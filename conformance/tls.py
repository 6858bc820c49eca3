"""Python's HTTP clients, and gnocchiclient, against a server that speaks TLS.

    tls.py [--server CMD]

Trust and mistrust, a refusal that reaches a client which is still sending, certificates of clients, and certificates that
are replaced under load without a failed request. Ends with 'N passed, N failed'.
"""

import argparse
import datetime
import ipaddress
import os
import pathlib
import ssl
import subprocess
import sys
import threading
import time

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from gnocchiclient import auth
from gnocchiclient.v1 import client as gnocchi

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import outcome, server as live  # noqa: E402

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
TOO_LARGE = 40 << 20
RELOADS = 4


class Authority:
    """An authority with RSA keys, as most clouds have them."""

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self.key = rsa.generate_private_key(65537, 2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._begin(self.name, self.key).add_extension(basic, True).sign(self.key, hashes.SHA256())
        self.path = self._write(f"{name}.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def _begin(self, subject: x509.Name, key: rsa.RSAPrivateKey, years: int = 30) -> x509.CertificateBuilder:
        end = START + datetime.timedelta(days=365 * years)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(START).not_valid_after(end))

    def _write(self, name: str, content: bytes) -> str:
        path = os.path.join(self.directory, name)
        with open(f"{path}.new", "wb") as file:
            file.write(content)
        os.replace(f"{path}.new", path)
        return path

    def issue(self, name: str, years: int = 30) -> tuple[str, str]:
        """Files with a certificate for loopback and its key, over those that are there."""
        key = rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = self._begin(subject, key, years).add_extension(names, False).sign(self.key, hashes.SHA256())
        plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                  serialization.NoEncryption())
        return (self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
                self._write(f"{name}.key", plain))


def refused(call) -> bool:
    """Whether no connection comes about."""
    try:
        call()
    except requests.exceptions.ConnectionError:
        return True
    return False


def check_clients(tally: outcome.Outcome, url: str, authority: Authority) -> None:
    """requests, and gnocchiclient as a library and as a program."""
    root = requests.get(f"{url}/", verify=authority.path, timeout=10)
    tally.equal("requests: status", root.status_code, 200)
    tally.check("requests: links lead to https", all("https://" in str(v["links"]) for v in root.json()["versions"]), root.text)
    tally.check("requests: an unknown authority is not trusted", refused(lambda: requests.get(f"{url}/", timeout=10)))
    for name, body in (("length", b" " * TOO_LARGE), ("chunks", (b" " * 65536 for _ in range(TOO_LARGE // 65536)))):
        answer = requests.post(f"{url}/v1/batch/metrics/measures", data=body, auth=("admin", ""), verify=authority.path,
                               headers={"Content-Type": "application/json"}, timeout=60)
        tally.equal(f"requests: too large a body by {name}", answer.status_code, 413)
    plugin = auth.GnocchiBasicPlugin("admin", url)
    client = gnocchi.Client(session_options={"auth": plugin, "verify": authority.path})
    metric = client.metric.create(name="tls", archive_policy_name="low")["id"]
    client.metric.add_measures(metric, [{"timestamp": "2026-01-01T00:00:00", "value": 2.5}])
    tally.equal("gnocchiclient: a measure", client.metric.get_measures(metric)[-1][2], 2.5)
    program = os.path.join(os.path.dirname(sys.executable), "gnocchi")
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": authority.path}
    shown = subprocess.run([program, "--endpoint", url, "metric", "show", metric, "-f", "value", "-c", "name"],
                           env=environment, capture_output=True, text=True, check=False)
    tally.equal("gnocchi: a metric by the program", shown.stdout.strip(), "tls")


def ask(url: str, session: requests.Session | None, verify: str) -> None:
    """One request, on the session's connection or on one of its own."""
    (session or requests).get(f"{url}/healthcheck", verify=verify, timeout=10).raise_for_status()


def check_reloads(tally: outcome.Outcome, url: str, authority: Authority) -> None:
    """New certificates while clients ask, with and without kept connections."""
    ended, failures, answers = threading.Event(), [], [0] * 4

    def load(number: int) -> None:
        session = requests.Session() if number % 2 else None
        while not ended.is_set():
            try:
                ask(url, session, authority.path)
                answers[number] += 1
            except requests.exceptions.RequestException as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=load, args=[number]) for number in range(len(answers))]
    for thread in threads:
        thread.start()
    seen = set()
    for _ in range(RELOADS):
        authority.issue("server")
        time.sleep(5)
        seen.add(certificate_of(url))
    ended.set()
    for thread in threads:
        thread.join()
    tally.check("reload: no request failed", not failures, f"{len(failures)}, first {failures[:1]}")
    tally.check("reload: all were asking", min(answers) > 10, str(answers))
    tally.equal("reload: certificates seen", len(seen), RELOADS)


def certificate_of(url: str) -> str:
    """The certificate (PEM) that the server shows."""
    host, port = url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)))


def check_client_certificates(tally: outcome.Outcome, command: str, directory: str, authority: Authority) -> None:
    """A server that wants to know who is there."""
    ours, others = Authority(directory, "clients"), Authority(directory, "others")
    good, expired, foreign = ours.issue("good"), ours.issue("expired", years=1), others.issue("foreign")
    with live.Server(command, environment=environment(directory, ours)) as server:
        url = f"https://127.0.0.1:{server.port}"
        answer = requests.get(f"{url}/", verify=authority.path, cert=good, timeout=10)
        tally.equal("clients: a good certificate", answer.status_code, 200)
        for name, shown in (("none", None), ("one that has expired", expired), ("another authority's", foreign)):
            tally.check(f"clients: {name}",
                        refused(lambda cert=shown: requests.get(f"{url}/", verify=authority.path, cert=cert, timeout=10)))


def environment(directory: str, clients: Authority | None = None) -> dict[str, str]:
    """Settings of a server with the certificate in `directory`."""
    settings = {"TLS_CERT_FILE": f"{directory}/server.pem", "TLS_KEY_FILE": f"{directory}/server.key"}
    if clients:
        settings["TLS_CLIENT_CA_FILE"] = clients.path
    return {"DEFAULT_POLICIES": "true", **{f"NEPHOMETER__METRIC_API__{key}": value for key, value in settings.items()}}


def main() -> int:
    """Starts servers, asks, weighs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    args = parser.parse_args()
    tally = outcome.Outcome()
    server = live.Server(args.server)
    authority = Authority(server.root, "servers")
    authority.issue("server")
    server.environment.update(environment(server.root))
    with server:
        url = f"https://127.0.0.1:{server.port}"
        check_clients(tally, url, authority)
        check_reloads(tally, url, authority)
        check_client_certificates(tally, args.server, server.root, authority)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
