"""Dynamic pollsters by definitions, listed and random ones, polled by Ceilometer's own code and by ours over the same answers.

Where upstream polls without an error, the samples must be the same, kinds of numbers and order of metadata included. Where
it gives up, we must tell of something, and have at least the samples that it had until then: we go on behind what fails.
Definitions that it refuses are refused in the same words; what it finds out only while it polls, we may refuse at once.
"""

import copy
import json
import logging
import random
from typing import Any

from ceilometer import declarative
from ceilometer.polling import dynamic_pollster

from harness.outcome import Outcome
from oracle import ask

HOST = "http://cloud.test:8774"
ENDPOINT = f"{HOST}/v2.1"
IDENTITY = "http://cloud.test:5000"
CATALOGUE = {"compute": [ENDPOINT], "identity": [IDENTITY]}

SERVERS = [
    {"id": "s-1", "name": "alpha", "status": "ACTIVE", "project_id": "p", "user_id": "u", "tenant": "p", "size": 5, "load": 2.5, "up": True,
     "flavor": {"id": "m1", "vcpus": 2}, "tags": ["a", "b"], "usages": [{"kind": "cpu", "v": {"used": 1}}, {"kind": "ram", "v": {"used": 2.5}}]},
    {"id": "s-2", "name": "beta", "status": "ERROR", "project_id": "q", "user_id": None, "tenant": "q", "size": 0, "load": -0.5, "up": False,
     "flavor": {"id": "m2", "vcpus": 4}, "tags": [], "usages": [{"kind": "cpu", "v": {"used": 7}}, {"kind": "gpu", "v": {"used": None}}]},
    {"id": "s-3", "name": "", "status": None, "project_id": "p", "user_id": "u", "tenant": "p", "size": 10**12, "load": 1e300, "up": True,
     "flavor": {"id": "m1", "vcpus": 2}, "tags": ["c"], "usages": []},
]
XML = "<out><server up='yes'><id>x-1</id><size>5</size></server><server><id>x-2</id><size>7</size><n:t xmlns:n='u'>k</n:t></server></out>"
BODIES: dict[str, tuple[int, str]] = {
    f"{ENDPOINT}/servers": (200, json.dumps({"servers": SERVERS, "links": {"next": "servers?page=2"}})),
    f"{ENDPOINT}/servers?page=2": (200, json.dumps({"servers": [dict(SERVERS[0], id="s-4")], "links": {"next": f"{ENDPOINT}/servers?page=3"}})),
    f"{ENDPOINT}/servers?page=3": (200, json.dumps({"servers": [dict(SERVERS[1], id="s-5")], "links": {}})),
    f"{ENDPOINT}/listing": (200, json.dumps(SERVERS)),
    f"{ENDPOINT}/one": (200, json.dumps({"server": SERVERS[0], "more": 1})),
    f"{ENDPOINT}/flat": (200, json.dumps(SERVERS[0])),
    f"{ENDPOINT}/partial": (200, json.dumps([SERVERS[0], {"id": "s-9"}, SERVERS[1]])),
    f"{ENDPOINT}/empty": (200, "{}"),
    f"{ENDPOINT}/none": (200, "[]"),
    f"{ENDPOINT}/null": (200, json.dumps({"servers": None})),
    f"{ENDPOINT}/number": (200, "5"),
    f"{ENDPOINT}/xml": (200, XML),
    f"{ENDPOINT}/text": (200, "up 3 days"),
    f"{ENDPOINT}/accepted": (202, json.dumps(SERVERS[:1])),
    f"{HOST}/root": (200, json.dumps(SERVERS[:1])),
    f"{ENDPOINT}/?a=1": (200, json.dumps(SERVERS[:1])),
    f"{ENDPOINT}/broken": (500, "no"),
    f"{ENDPOINT}/flavors/m1": (200, json.dumps({"flavor": {"id": "m1", "name": "tiny", "swap": None}})),
    f"{ENDPOINT}/flavors/m2": (200, json.dumps({"flavor": {"id": "m2", "name": "big", "swap": 3}})),
    f"{IDENTITY}/v3/projects/p": (200, json.dumps({"project": {"id": "p", "name": "P", "domain_id": "d"}})),
    f"{IDENTITY}/v3/projects/q": (200, json.dumps({"project": {"id": "q", "name": "Q", "domain_id": "d"}})),
    f"{IDENTITY}/v3/domains/d": (200, json.dumps({"domain": {"id": "d", "name": "D", "swap": None}})),
}
BASE = {"name": "dynamic.test", "sample_type": "gauge", "unit": "B", "value_attribute": "size", "endpoint_type": "compute", "url_path": "servers"}
PROJECT = {"name": "project", "endpoint_type": "identity", "url_path": "'/v3/projects/' + sample['project_id']", "value": "name", "metadata_fields": ["domain_id"]}
DOMAIN = {"name": "domain", "endpoint_type": "identity", "url_path": "'v3/domains/' + extra_metadata_captured['domain_id']", "value": "name"}
FLAVOR = {"name": "flavor", "endpoint_type": "compute", "url_path": "f\"flavors/{sample['flavor']['id']}\"", "value_attribute": "name", "metadata_fields": ["swap"]}
MULTI = {"name": "dynamic.{kind}", "value_attribute": "[usages].v.used"}

LISTED: list[dict[str, Any]] = [
    {}, {"url_path": "listing"}, {"url_path": "one", "response_entries_key": "server"}, {"url_path": "one"}, {"url_path": "flat", "response_entries_key": "."},
    {"url_path": "flat"}, {"url_path": "empty"}, {"url_path": "none"}, {"url_path": "null"}, {"url_path": "number"}, {"url_path": "nowhere"}, {"url_path": "broken"},
    {"url_path": "accepted"}, {"url_path": "/root"}, {"url_path": f"{HOST}/root"}, {"url_path": "?a=1"}, {"url_path": "'list' + 'ing'"}, {"url_path": "7"},
    {"url_path": "'listing' if base else 'none'", "base_metadata": {"base": 1}}, {"url_path": "partial"}, {"next_sample_url_attribute": "links.next"},
    {"next_sample_url_attribute": "links | value['next']"}, {"next_sample_url_attribute": "servers | value[9]"}, {"next_sample_url_attribute": "nothing.at.all"},
    {"value_attribute": "load"}, {"value_attribute": "up"}, {"value_attribute": "name"}, {"value_attribute": "tags"}, {"value_attribute": "tags | len(value) | value * 2"},
    {"value_attribute": "flavor.vcpus | value / 3"}, {"value_attribute": ". | value['size'] + len(value)"}, {"value_attribute": "size | 10 / value"}, {"value_attribute": "none"},
    {"value_attribute": "size | undefined + value"}, {"value_attribute": "size | 1 + 1"}, {"value_attribute": "size | value +"}, {"value_attribute": "status | value.lower()"},
    {"value_attribute": "status", "value_mapping": {"ACTIVE": 1, "ERROR": "2"}}, {"value_attribute": "status", "value_mapping": {"ACTIVE": 1.0}, "default_value": "none"},
    {"value_attribute": "status", "value_mapping": {"ACTIVE": 1}, "default_value": None}, {"value_attribute": "tags", "value_mapping": {"a": 1}},
    {"value_attribute": "status", "skip_sample_values": ["ACTIVE", None]}, {"skip_sample_values": [5.0, False]}, {"value_attribute": "status", "skip_sample_values": "ACTIVE ERROR"},
    {"value_attribute": "name", "skip_sample_values": "alphabet"}, {"value_attribute": "up", "skip_sample_values": [1]}, {"skip_sample_values": {"5": 1}},
    {"metadata_fields": ["status", "flavor.id", "tags | ','.join(value)"]}, {"metadata_fields": ["status", "nothing"]}, {"metadata_fields": ["status", "status"]}, {"metadata_fields": []},
    {"metadata_fields": ["status", "name"], "metadata_mapping": {"status": "state", "other": "x"}},
    {"metadata_fields": ["status", "name"], "metadata_mapping": {"status": "name"}, "preserve_mapped_metadata": False},
    {"metadata_fields": ["status", "name"], "metadata_mapping": {"status": "status", "name": "n"}, "preserve_mapped_metadata": False},
    {"user_id_attribute": "tenant", "project_id_attribute": "user_id", "resource_id_attribute": "name"}, {"user_id_attribute": "", "resource_id_attribute": None},
    {"resource_id_attribute": "flavor.id | value.upper()"}, {"resource_id_attribute": "nothing"}, {"project_id_attribute": "size"},
    {"url_path": "xml", "response_handlers": ["json", "xml"], "response_entries_key": "out.server", "value_attribute": "size | int(value)"},
    {"url_path": "xml", "response_handlers": ["xml"], "response_entries_key": "out.server", "metadata_fields": [". | value.get('@up')", ". | value.get('n:t')"]},
    {"url_path": "xml", "response_handlers": ["xml"]}, {"url_path": "text", "response_handlers": ["json", "text"], "value_attribute": "out | int(value.split()[1])"},
    {"url_path": "text", "response_handlers": ["json", "xml"]}, {"url_path": "listing", "response_handlers": []}, {"url_path": "listing", "response_handlers": ["text"]},
    MULTI, {**MULTI, "skip_sample_values": ["gpu", 1]}, {**MULTI, "value_mapping": {"1": 5}, "metadata_fields": ["name"]}, {**MULTI, "value_attribute": "[tags].v"},
    {**MULTI, "value_attribute": "[name].v"}, {**MULTI, "value_attribute": "[usages].v.none"}, {**MULTI, "name": "dynamic.{none}"}, {**MULTI, "value_attribute": "usages.v"},
    {**MULTI, "extra_metadata_fields": PROJECT}, {"name": "a.{b-c}"},
    {"extra_metadata_fields": PROJECT}, {"extra_metadata_fields": [PROJECT, DOMAIN, FLAVOR]}, {"extra_metadata_fields": [FLAVOR, DOMAIN]},
    {"extra_metadata_fields": [PROJECT, FLAVOR], "metadata_fields": ["name"], "extra_metadata_fields_skip": [{"flavor": {"id": "m2"}}, {}]},
    {"extra_metadata_fields": [PROJECT], "metadata_fields": ["name"], "metadata_mapping": {"name": "project"}}, {"extra_metadata_fields": {**PROJECT, "extra_metadata_fields": DOMAIN}},
    {"extra_metadata_fields": {**FLAVOR, "url_path": "nowhere"}}, {"extra_metadata_fields": {**FLAVOR, "name": ""}},
    {"extra_metadata_fields": {"name": "c", "host_command": "'echo ' + sample['id']", "response_handlers": ["text"], "value_attribute": "out"}},
    {"extra_metadata_fields": [FLAVOR, {"name": "c", "host_command": "'echo ' + str(extra_metadata_by_name['flavor']['value'])", "response_handlers": ["text"], "value": "out"}]},
    {"host_command": "echo '{\"a\": [{\"id\": 1, \"size\": 3}]}'"}, {"host_command": "echo x; echo y >&2; exit 3", "response_handlers": ["text"], "value_attribute": "out"},
    {"host_command": "'printf ' + '5'", "response_handlers": ["text"], "value_attribute": "out | int(value)"}, {"host_command": "true"},
    {"host_command": "echo '{\"a\": [{\"id\": 1, \"size\": 3}], \"n\": \"echo []\"}'", "next_sample_url_attribute": "n"},
    {"name": "no good"}, {"name": "a..b"}, {"sample_type": "rate"}, {"unit": ""}, {"unit": None, "endpoint_type": ""}, {"value_attribute": ""}, {"url_path": None},
    {"host_command": "echo", "unit": None, "url_path": None, "endpoint_type": None, "value_attribute": None}, {"module": "awsauth"}, {"module": "awsauth", "url_path": "", "unit": None},
    {"response_handlers": "json"}, {"response_handlers": ["yaml"]}, {"response_handlers": 5}, {"extra_metadata_fields_skip": {}}, {"extra_metadata_fields_skip": {"a": 1}},
    {"extra_metadata_fields_skip": [5, {}]}, {"extra_metadata_fields_skip": [None, {}]}, {"sample_type": "delta", "timeout": None, "headers": {"a": "b"}},
]

POOLS: dict[str, list[Any]] = {
    "url_path": ["servers", "listing", "one", "flat", "partial", "'listing'", "/root", "xml", "text"],
    "value_attribute": ["size", "load", "status", "flavor.vcpus", "tags | len(value)", "name | value or 'x'", "up | int(value)", ". | sorted(value)[0]", "flavor | value['vcpus'] * 1.5",
                        "size | str(value) | value + '0' | int(value)", "usages | [u['kind'] for u in value]", "user_id"],
    "skip_sample_values": [[], [5], ["ACTIVE"], [None, ""], "ACTIVE", [1.0]],
    "value_mapping": [{}, {"ACTIVE": 1, "ERROR": 2}, {"alpha": 2.5}, {"": "x"}],
    "default_value": [None, 0, "x"],
    "metadata_fields": [[], ["name"], ["name", "flavor.id", "size | value * 2"], ["user_id", "tags"], ["flavor"]],
    "metadata_mapping": [{}, {"name": "display_name"}, {"flavor.id": "name"}],
    "preserve_mapped_metadata": [True, False],
    "response_entries_key": [None, "servers", "server", ".", "servers | value[:2]"],
    "next_sample_url_attribute": [None, "links.next", "nothing"],
    "user_id_attribute": [None, "tenant", ""],
    "project_id_attribute": [None, "tenant", "flavor.id"],
    "resource_id_attribute": [None, "name", "id | value + '!'"],
    "extra_metadata_fields": [None, PROJECT, [PROJECT, DOMAIN], FLAVOR, [FLAVOR, PROJECT]],
    "extra_metadata_fields_skip": [None, [{"up": True}], [{"flavor": {"vcpus": 2}}]],
    "response_handlers": [None, ["json"], ["json", "xml"], ["json", "text"]],
}


def randomly(made: random.Random) -> dict[str, Any]:
    names = made.sample(sorted(POOLS), made.randrange(1, 6))
    definition = {name: made.choice(POOLS[name]) for name in names}
    if made.random() < 0.2:
        definition.update(MULTI)
    return definition


def document(made: random.Random, depth: int) -> str:
    """A random XML element, now and then a broken one."""
    name = made.choice(["a", "b", "n:c", "_d", "e-f.g", "é"])
    attributes = "".join(f" {key}={quote}{made.choice(['', 'v', '1 &lt; 2', 'a&#10;b', ' x  y ', 'é'])}{quote}"
                         for key in made.sample(["k", "n:l", "m", "xmlns:n"], made.randrange(3)) for quote in [made.choice("'\"")])
    parts = [made.choice(["", "", " ", "text", " t ", "&amp;&#65;", "<![CDATA[ <&> ]]>", "<!-- no -->", "<?pi x?>", "\n", "5", "]]"]) for _ in range(made.randrange(3))]
    if depth > 0:
        parts += [document(made, depth - 1) for _ in range(made.randrange(4))]
    made.shuffle(parts)
    broken = made.random()
    if broken < 0.01:
        return f"<{name}{attributes}>" + "".join(parts)
    if broken < 0.02:
        parts.append(made.choice(["&x;", "<", "a & b", "</z>", "<a k=1/>", "<a k='1' k='2'/>"]))
    if not any(parts) and made.random() < 0.5:
        return f"<{name}{attributes}/>"
    return f"<{name}{attributes}>{''.join(parts)}</{name}>"


def documents(made: random.Random, cases: int) -> list[tuple[dict[str, Any], dict[str, tuple[int, str]]]]:
    """Definitions that show all of an answer, and answers."""
    definition = {**BASE, "url_path": "made", "response_handlers": ["xml"], "response_entries_key": ".", "value_attribute": ". | json.dumps(value)"}
    texts = [made.choice(["", "<?xml version='1.0' encoding='utf-8'?>", "<!DOCTYPE a>\n", "<!-- c -->", " "]) + document(made, 3) + made.choice(["", "\n", "<!-- c -->", "x"])
             for _ in range(cases)]
    return [(definition, {f"{ENDPOINT}/made": (200, text)}) for text in texts]


class Response:
    def __init__(self, status: int, text: str) -> None:
        self.status_code, self.text = status, text

    def raise_for_status(self) -> None:
        """Below 400 nothing is raised; the rest keystoneauth does."""


class Session:
    bodies = BODIES

    def get(self, url: str, **_: Any) -> Response:
        status, text = self.bodies.get(url, (404, ""))
        if status >= 400:
            raise RuntimeError(f"HTTP {status}")
        return Response(status, text)


class Keystone:
    session = Session()


class Manager:
    _keystone = Keystone()

    def discover(self, specs: list[str], _: Any) -> list[str]:
        name, _, parameter = specs[0].partition(":")
        return CATALOGUE.get(parameter, []) if name == "endpoint" else ["host"]


def theirs(definition: dict[str, Any]) -> dict[str, Any]:
    try:
        pollster = dynamic_pollster.DynamicPollster(copy.deepcopy(definition), None)
    except declarative.DynamicPollsterDefinitionException as error:
        return {"wrong": error.brief_message}
    except Exception as error:  # noqa: BLE001
        return {"wrong": None, "error": repr(error)}
    samples, failure = [], None
    try:
        for sample in pollster.get_samples(Manager(), {}, [ENDPOINT]):
            # What it goes on changing is as it is now.
            samples.append(copy.deepcopy({
                "name": sample.name, "type": sample.type, "unit": sample.unit, "volume": sample.volume, "user_id": sample.user_id, "project_id": sample.project_id,
                "resource_id": sample.resource_id, "resource_metadata": sample.resource_metadata}))
    except Exception as error:  # noqa: BLE001
        failure = repr(error)
    return {"discovery": pollster.default_discovery, "samples": samples, "failure": failure}


def plain(sample: dict[str, Any]) -> str:
    """A sample as it is compared. Ids are texts in ours."""
    kept = {name: sample[name] for name in ("name", "type", "unit", "volume", "resource_metadata")}
    ids = {name: None if sample[name] is None else str(sample[name]) for name in ("user_id", "project_id", "resource_id")}
    return json.dumps(kept | ids)


def objects(definition: dict[str, Any]) -> bool:
    """Whether answers are single objects, whose ids upstream cannot take from other attributes."""
    return any(definition.get(name) for name in ("user_id_attribute", "project_id_attribute", "resource_id_attribute"))


def compare(made: random.Random, cases: int, outcome: Outcome) -> None:
    logging.disable(logging.CRITICAL)
    definitions = [({**BASE, **more}, BODIES) for more in LISTED + [randomly(made) for _ in range(min(cases, 1000))]] + documents(made, min(cases, 1000))
    questions = [{"definition": definition, "resources": [ENDPOINT], "catalogue": CATALOGUE, "answers": bodies} for definition, bodies in definitions]
    polled = refused = failed = samples = 0
    for (definition, bodies), ours in zip(definitions, ask(questions, "dynamic_oracle"), strict=True):
        name = json.dumps({key: value for key, value in definition.items() if BASE.get(key) != value})
        name += "" if bodies is BODIES else json.dumps(bodies)
        Session.bodies = bodies
        upstream = theirs(definition)
        shown = f"ours {str(ours)[:600]}, Ceilometer's {str(upstream)[:600]}"
        if "wrong" in upstream:
            refused += 1
            words = upstream["wrong"]
            outcome.check(name, "wrong" in ours and (words is None or ours["wrong"] in (words, f"{words}.")), shown)
        elif upstream["failure"] is not None and "wrong" in ours:
            # It would never have worked.
            refused += 1
            outcome.check(name, not upstream["samples"], shown)
        elif "wrong" in ours:
            outcome.check(name, False, shown)
        else:
            mine, others = [plain(sample) for sample in ours["samples"]], [plain(sample) for sample in upstream["samples"]]
            samples += len(others)
            same = mine == others and ours["failure"] is None
            if upstream["failure"] is not None:
                failed += 1
                same = mine[: len(others)] == others and (ours["failure"] is not None or objects(definition))
            else:
                polled += 1
            outcome.check(name, same and ours["discovery"] == upstream["discovery"], shown)
    outcome.check("most definitions make samples", polled > len(definitions) // 3 and samples > len(definitions), f"{polled} of {len(definitions)}, {samples} samples")
    print(f"dynamic pollsters: {polled} polled, {failed} gave up, {refused} refused; {samples} samples", flush=True)
