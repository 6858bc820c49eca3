"""The samples of a cycle of ours beside those of Ceilometer's own agent, of the same cloud."""

import json
import os
import pathlib
import subprocess
from typing import Any

from cloud.programs import HERE, Programs, python_of
from harness.keystone import Keystone
from harness.outcome import Outcome
from services.agent import POLLING
from services.settings import POLLER, user

CONF = """
[DEFAULT]
transport_url = fake://
use_stderr = true
[polling]
cfg_file = {polling}
[service_credentials]
interface = public
{user}
"""
Samples = dict[tuple[str, str], dict[str, Any]]
# What a sample says beside its time and its own id. Theirs calls some of it by the names of messages.
FIELDS = {"type": "counter_type", "unit": "counter_unit", "volume": "counter_volume", "project_id": "project_id",
          "user_id": "user_id", "source": "source"}
ABSENT = "absent"


def _keyed(samples: list[dict[str, Any]], names: dict[str, str], name: str) -> Samples:
    """What samples say, by meter and resource."""
    keyed = {}
    for sample in samples:
        said = {ours: sample[theirs] for ours, theirs in names.items()}
        said.update({f"metadata.{key}": value for key, value in sample["resource_metadata"].items()})
        keyed[sample[name], sample["resource_id"]] = said
    return keyed


def ours(cycle: Any) -> Samples:
    """The samples of `nephometer polling --once --dry-run`."""
    return _keyed(cycle["samples"], {name: name for name in FIELDS}, "name")


def theirs(programs: Programs, identity: Keystone) -> Samples:
    """The samples of a cycle of Ceilometer's agent."""
    python = python_of("ceilometer")
    polling = programs.write("polling.yaml", POLLING)
    conf = programs.write("ceilometer.conf", CONF.format(polling=polling, user=user(identity, POLLER)))
    command: list[str | pathlib.Path] = [python, HERE.parent / "services/reference.py", conf]
    with open(programs.root / "ceilometer.log", "wb") as log:
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, check=True, timeout=600, env=environment)
    return _keyed([json.loads(line) for line in done.stdout.splitlines()], FIELDS, "counter_name")


def _reason(key: tuple[str, str], field: str, their: Any, our: Any) -> str | None:
    """Why something may differ; nothing where it may not."""
    meter, _ = key
    if field == "sample" and our is ABSENT and their["volume"] is None:
        return "an image without data has no size: theirs is a sample without a value, which its pipeline drops"
    if field == "sample" and their is ABSENT and meter.startswith("storage.containers."):
        return "theirs reads the first page of containers alone"
    if field == "sample" and their is ABSENT and meter.startswith("loadbalancer."):
        return "theirs has balancers for the first of their meters alone: its list can be read once"
    if field == "metadata.psk" and our == "***":
        return "pre-shared keys are told only with central.publish_secrets"
    return None


def compare(tally: Outcome, their: Samples, our: Samples) -> None:
    """A check a sample, and a line for each way in which some differ with a reason."""
    reasons: dict[str, int] = {}
    for key in sorted({*their, *our}):
        wrong = []
        for field, one, other in _differences(their.get(key, ABSENT), our.get(key, ABSENT)):
            reason = _reason(key, field, one, other)
            if reason is None:
                wrong.append(f"{field}: theirs {one!r}, ours {other!r}")
            else:
                reasons[reason] = reasons.get(reason, 0) + 1
        tally.check(f"{key[0]} of {key[1]} as Ceilometer has it", not wrong, "; ".join(wrong))
    for reason, count in reasons.items():
        print(f"  differs as it is meant to, {count} times: {reason}")


def _differences(their: Any, our: Any) -> list[tuple[str, Any, Any]]:
    if ABSENT in (their, our):
        return [("sample", their, our)]
    fields = sorted({*their, *our})
    pairs = [(field, their.get(field, ABSENT), our.get(field, ABSENT)) for field in fields]
    return [(field, one, other) for field, one, other in pairs if one != other]
