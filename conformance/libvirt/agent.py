"""The whole agent at scale: `nephometer polling` with a thousand guests of a daemon that answers from recordings, publishing
over HTTP to a `nephometer serve`. Its memory at all times, the first cycle among them, in which everything is made, and its
CPU time a cycle.

    python3 conformance/libvirt/agent.py --program target/release/nephometer --reader target/release/examples/poll_guests

--agent measures an agent of another build than the server's."""

import argparse
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness.outcome import Outcome
from harness.server import Server

GUESTS = 1000
INTERVAL_SECONDS = 10
CYCLES = 10
# The first makes resources and metrics.
FIRST_USUAL = 2
MOST_BYTES = 40_000_000
POLLING = f"sources:\n- {{name: guests, interval: {INTERVAL_SECONDS}, meters: ['*']}}\n"
SERVER = {
    "storage.data_dir": "{dir}", "metric_api.listen": "127.0.0.1:{port}", "metric_api.auth_mode": "basic",
    "alarm_api.listen": "", "self_monitoring.enabled": "false", "statsd.enabled": "false", "admin.listen": "",
}
SIZES = ("VmRSS", "RssAnon", "RssFile", "VmHWM")


def arguments_of(settings: dict[str, str]) -> str:
    """As the command line has them."""
    return " ".join(f"--set '{name}={value}'" for name, value in settings.items())


def sizes(pid: int) -> dict[str, int]:
    """Memory of a process, in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return {name: int(lines[name].split()[0]) * 1024 for name in SIZES}


def cpu_ms(pid: int) -> float:
    """CPU time of a process, user and system."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def megabytes(size: int) -> str:
    """For people."""
    return f"{size / 1e6:.1f}"


def prove(outcome: Outcome, program: str, agent: str, reader: str) -> None:
    """Starts all three, and looks at the agent for some cycles."""
    daemon = subprocess.Popen([reader, "--serve", str(GUESTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert daemon.stdin and daemon.stdout
    uri = daemon.stdout.readline().strip()
    with Server(f"{program} serve {arguments_of(SERVER)}") as server:
        with open(f"{server.root}/polling.yaml", "w", encoding="ascii") as out:
            out.write(POLLING)
        settings = {
            "storage.data_dir": f"{server.root}/agent", "admin.listen": "", "polling.namespaces": '["compute"]',
            "polling.cfg_file": f"{server.root}/polling.yaml", "polling.jitter_seconds": "0",
            "compute.libvirt_uri": uri, "gnocchi.url": server.url(),
        }
        with open(f"{server.root}/agent.log", "wb") as log:
            command = f"exec {agent} polling {arguments_of(settings)}"
            process = subprocess.Popen(command, shell=True, stdout=log, stderr=log)
        try:
            watch(outcome, process.pid)
            outcome.check("the agent still runs", process.poll() is None, str(process.poll()))
        finally:
            process.terminate()
            process.wait(20)
    daemon.stdin.close()
    daemon.wait(20)


def watch(outcome: Outcome, pid: int) -> None:
    """Looks at the agent after each cycle; the kernel keeps the most that was resident."""
    spent, resident = [], []
    for _ in range(CYCLES):
        began = cpu_ms(pid)
        time.sleep(INTERVAL_SECONDS)
        spent.append(cpu_ms(pid) - began)
        now = sizes(pid)
        resident.append(now["VmRSS"])
        shown = ", ".join(f"{name} {megabytes(now[name])} MB" for name in SIZES)
        print(f"  {shown}, {spent[-1]:.0f} ms of CPU", flush=True)
    usual_ms, usual = statistics.median(spent[FIRST_USUAL:]), statistics.median(resident[FIRST_USUAL:])
    print(f"  a thousand guests' agent: {usual_ms:.0f} ms of CPU a cycle, {megabytes(usual)} MB resident, "
          f"at most {megabytes(now['VmHWM'])} for a moment")
    most = max(resident)
    outcome.check("the agent has 40 MB resident at most after each cycle", most <= MOST_BYTES, megabytes(most))


def main() -> int:
    """Runs the proof."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--agent", help="another build of the agent than the program's")
    parser.add_argument("--reader", required=True, help="the built example poll_guests")
    arguments = parser.parse_args()
    outcome = Outcome()
    prove(outcome, os.path.abspath(arguments.program), os.path.abspath(arguments.agent or arguments.program),
          os.path.abspath(arguments.reader))
    return outcome.finish()


if __name__ == "__main__":
    sys.exit(main())
