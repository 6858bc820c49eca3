"""Samples whose arrival can be counted: each has a second of its own, and the policy keeps how many measures a second had."""

import datetime
import time
import uuid
from typing import Any

import requests
from ceilometer import sample as ceilometer_sample
from ceilometer.publisher import utils

from harness import outcome, server as live

EPOCH = datetime.datetime(2026, 3, 1)
RESOURCES = [str(uuid.UUID(int=number, version=4)) for number in range(1, 6)]
POLICY = "counted"
HEADERS = {"Authorization": "basic YWRtaW46"}


def prepare(server: live.Server) -> None:
    """Makes the policy: the number of measures of each second."""
    policy = {"name": POLICY, "aggregation_methods": ["count", "sum"], "back_window": 0,
              "definition": [{"granularity": 1, "timespan": "400 days"}]}
    answer = requests.post(f"{server.url()}/v1/archive_policy", json=policy, headers=HEADERS, timeout=10)
    assert answer.status_code in (201, 409), answer.text


def messages(numbers: range) -> list[dict[str, Any]]:
    """A sample for each number, as a meter message."""
    made = []
    for number in numbers:
        when = EPOCH + datetime.timedelta(seconds=number)
        metadata = {"display_name": "vm", "host": "compute-1", "flavor_id": "1", "instance_type": "m1.small"}
        sample = ceilometer_sample.Sample("memory.usage", "gauge", "MB", number, "a-user", "a-project",
                                          RESOURCES[number % len(RESOURCES)], when.isoformat(), metadata, id=str(uuid.uuid4()))
        made.append(utils.meter_message_from_counter(sample, ""))
    return made


def arrived(server: live.Server) -> dict[int, int]:
    """How often each number has arrived."""
    found: dict[int, int] = {}
    for resource in RESOURCES:
        url = f"{server.url()}/v1/resource/generic/{resource}/metric/memory.usage/measures"
        answer = requests.get(url, params={"aggregation": "count", "granularity": 1}, headers=HEADERS, timeout=30)
        if answer.status_code == 404:
            continue
        answer.raise_for_status()
        for when, _, count in answer.json():
            number = round((datetime.datetime.fromisoformat(when).replace(tzinfo=None) - EPOCH).total_seconds())
            found[number] = found.get(number, 0) + int(count)
    return found


def check(tally: outcome.Outcome, name: str, server: live.Server, acknowledged: set[int], seconds: float) -> None:
    """Waits until all that was acknowledged has arrived."""
    until = time.monotonic() + seconds
    found = arrived(server)
    while time.monotonic() < until and not acknowledged <= found.keys():
        time.sleep(0.5)
        found = arrived(server)
    missing = sorted(acknowledged - found.keys())
    tally.check(f"{name}: {len(acknowledged)} samples arrive", not missing, f"{len(missing)} missing, such as {missing[:5]}")
    twice = sorted(number for number, count in found.items() if count != 1)
    tally.check(f"{name}: each counts once", not twice, f"{len(twice)} count more than once, such as {twice[:5]}")
