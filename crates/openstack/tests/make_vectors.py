"""Makes `oslo_policy.json`: random rules and what oslo.policy's own parser and checks decide about them.

Run with a Python that has oslo.policy 5: `python make_vectors.py > oslo_policy.json`. The seed is fixed.
"""

import json
import logging
import random

from oslo_policy import _parser

logging.disable(logging.CRITICAL)

CHECKS = [
    "@", "!", "role:admin", "role:MEMBER", "role:%(wanted)s", "rule:yes", "rule:no", "rule:missing",
    "user:%(creator)s", "project_id:%(project_id)s", "project_id:%(resource.project_id)s", "user_id:u1",
    "domain_id:%(absent)s", "system:all", "'alice':%(creator)s", "\"p1\":%(project_id)s", "None:None", "True:%(flag)s",
    "7:%(number)s", "roles:member", "nosuch:x", "user:%(creator)s%(number)s", "user:100%%",
]
ROLES = ["admin", "Member", "service", "member"]
VALUES = {
    "creator": ["alice", "bob", "7"], "project_id": ["p1", "p2"], "resource.project_id": ["p1", "p2"],
    "wanted": ["ADMIN", "service"], "flag": ["True", "False"], "number": ["7", "8"],
}


class Enforcer:
    """What `rule:` checks look into."""

    rules = {"yes": _parser.parse_rule("@"), "no": _parser.parse_rule("role:admin")}


def expression(source: random.Random, depth: int) -> str:
    """A random rule that mostly follows the grammar."""
    kind = source.random()
    if depth == 0 or kind < 0.3:
        return source.choice(CHECKS)
    if kind < 0.5:
        return source.choice(["not ", "NOT "]) + f"({expression(source, depth - 1)})"
    if kind < 0.6:
        return f"( {expression(source, depth - 1)} )"
    operator = source.choice([" and ", " or ", " AND ", " Or  "])
    return operator.join(expression(source, depth - 1) for _ in range(source.randint(2, 3)))


def main() -> None:
    """Writes 600 cases."""
    source = random.Random(20261120)
    cases = []
    while len(cases) < 600:
        rule = expression(source, source.randint(0, 4))
        target = {name: source.choice(values) for name, values in VALUES.items() if source.random() < 0.7}
        credentials = {"roles": source.sample(ROLES, source.randint(0, 3))}
        for name, values in [("user", ["alice", "bob"]), ("user_id", ["u1", "u2"]), ("project_id", ["p1", "p2"]), ("system", ["all"])]:
            if source.random() < 0.7:
                credentials[name] = source.choice(values)
        allowed = bool(_parser.parse_rule(rule)(target, credentials, Enforcer, None))
        cases.append({"rule": rule, "target": target, "credentials": credentials, "allowed": allowed})
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


if __name__ == "__main__":
    main()
