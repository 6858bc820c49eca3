#!/usr/bin/env python3
"""Random policy rules through our decisions and through oslo.policy itself: `conformance/policy/differential.py`.

Both get the same seeded worlds: a catalogue (Gnocchi's own from its package, the alarm API's, or a made-up one with rules
that changed their names), options, policy files and a directory of them, callers and targets. Ours decides through
`crates/openstack/examples/policy_oracle.rs`, one JSON object a line. Every decision must be the same, and our explanation
of it must agree. Where oslo.policy logs that it cannot understand a rule, or would go in circles, ours must refuse the
files, and only there.

Options: `--cases N` worlds (600), `--seed N`. Ends with `N passed, N failed`. Needs a Python that has Gnocchi and oslo.policy:
`$(conformance/venv gnocchi)/bin/python`.
"""

import argparse
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings
from typing import Any

from gnocchi.rest import policies
from oslo_config import cfg
from oslo_policy import _checks, _parser, policy

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "conformance")]

from harness.outcome import Outcome  # noqa: E402
from worlds import Maker, World  # noqa: E402

# How many rules ours lets refer to each other in a row.
MAX_CHAIN = 32


class Misunderstood(logging.Handler):
    """Counts the rules that oslo.policy could not understand."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def oracle(lines: list[World]) -> list[dict[str, Any]]:
    """Our answers, in order."""
    command = ["cargo", "run", "-q", "--locked", "-p", "nephometer-openstack", "--example", "policy_oracle"]
    text = "".join(json.dumps({k: v for k, v in line.items() if k not in ("rules", "given")}) + "\n" for line in lines)
    done = subprocess.run(command, cwd=ROOT, check=True, input=text, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def gnocchis() -> list[dict[str, Any]]:
    """Gnocchi's own catalogue."""
    return [
        {
            "name": rule.name, "check": rule.check_str, "scopes": rule.scope_types or [], "deprecated": None,
            "operations": [[one["method"], one["path"]] for one in getattr(rule, "operations", [])],
        }
        for rule in policies.list_rules()
    ]


def enforcer(world: World, directory: pathlib.Path) -> policy.Enforcer:
    """oslo.policy with this world's catalogue, options and files: the first is the policy file, others are in policy.d."""
    first, *others = world["files"] or [None]
    if first is not None:
        (directory / "policy.yaml").write_text(first)
    (directory / "policy.d").mkdir()
    (directory / "policy.d" / ".hidden").write_text("no mapping")
    for number, text in enumerate(others):
        (directory / "policy.d" / f"{number}.yaml").write_text(text)
    conf = cfg.ConfigOpts()
    conf([], project="none", default_config_files=[], default_config_dirs=[])
    made = policy.Enforcer(conf, policy_file=str(directory / "policy.yaml"))
    conf.set_override("policy_dirs", [str(directory / "policy.d")], group="oslo_policy")
    conf.set_override("enforce_new_defaults", world["enforce_new_defaults"], group="oslo_policy")
    for rule in world["rules"]:
        old = rule["deprecated"] and policy.DeprecatedRule(*rule["deprecated"], deprecated_reason="-", deprecated_since="-")
        # Releases that could be told not to enforce scopes only logged what they would have refused.
        scopes = rule["scopes"] if world["enforce_scope"] else []
        made.register_default(
            policy.RuleDefault(rule["name"], rule["check"], deprecated_rule=old or None, scope_types=scopes or None)
        )
    made.load_rules(True)
    # The files do not change: from here on it need not look.
    made.use_conf = False
    return made


def longest(rules: policy.Rules, name: str, path: tuple[str, ...]) -> int:
    """How many rules in a row an evaluation can go through; more than any bound for circles."""
    if name in path:
        return MAX_CHAIN + 1
    try:
        check = rules[name]
    except KeyError:
        return 0
    found = [longest(rules, reference, (*path, name)) for reference in references(check)]
    return 1 + max(found, default=0)


def references(check: _checks.BaseCheck) -> list[str]:
    if isinstance(check, _checks.RuleCheck):
        return [check.match]
    inner = getattr(check, "rules", None) or [getattr(check, "rule", None)]
    return [name for one in inner if one is not None for name in references(one)]


def compare(number: int, world: World, ours: dict[str, Any], outcome: Outcome) -> None:
    """Checks every decision of one world."""
    misunderstood = Misunderstood()
    _parser.LOG.addHandler(misunderstood)
    with tempfile.TemporaryDirectory() as directory:
        theirs = enforcer(world, pathlib.Path(directory))
    _parser.LOG.removeHandler(misunderstood)
    refusable = misunderstood.count or any(longest(theirs.rules, name, ()) > MAX_CHAIN for name in theirs.rules)
    if refusable or "decisions" not in ours:
        same = bool(refusable) == ("errors" in ours)
        outcome.check(f"world {number}", same, f"ours {ours}, {misunderstood.count} misunderstood; {world['files']}")
        return
    for at, (question, decided) in enumerate(zip(world["questions"], ours["decisions"], strict=True)):
        allowed = bool(theirs.enforce(question["rule"], question["target"], dict_of(question["credentials"])))
        detail = f"ours {decided}, oslo.policy {allowed}; {question}; {world['files']}; {world['rules']}"
        outcome.check(f"world {number}, question {at}", decided == [allowed, allowed], detail)


def dict_of(credentials: dict[str, Any]) -> dict[str, Any]:
    """What a service that uses oslo.context hands to oslo.policy, without what is not known of the caller."""
    known = dict(credentials)
    if "project_id" in known:
        known["tenant"] = known["project_id"]
    return known


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    logging.lastResort = None

    outcome = Outcome()
    metric, alarm = (answer["rules"] for answer in oracle([{"catalogue": "metric"}, {"catalogue": "alarm"}]))
    by_name = {rule["name"]: rule for rule in metric}
    for rule in gnocchis():
        outcome.check(f"default `{rule['name']}`", by_name.pop(rule["name"], None) == rule, str(rule))
    outcome.check("no other defaults", not by_name, str(by_name))

    maker = Maker(chosen.seed, {"metric": metric, "alarm": alarm})
    worlds = [maker.next() for _ in range(chosen.cases)]
    answers = oracle(worlds)
    for number, (world, ours) in enumerate(zip(worlds, answers, strict=True)):
        compare(number, world, ours, outcome)
    rules = sum(world["given"] for world, ours in zip(worlds, answers, strict=True) if "errors" not in ours)
    refused = sum("errors" in ours for ours in answers)
    allowed = sum(decided[0] for ours in answers for decided in ours.get("decisions", []))
    print(f"{chosen.cases} worlds, {rules} rules in files; {allowed} times allowed; files refused in {refused} worlds")
    return outcome.finish()


if __name__ == "__main__":
    sys.exit(main())
