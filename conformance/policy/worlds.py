"""Seeded random worlds of policy rules: a catalogue, options, policy files, and questions about them."""

import json
import random
from typing import Any

import yaml

World = dict[str, Any]

CHECKS = [
    "@", "!", "role:admin", "role:MEMBER", "role:reader", "role:service", "role:%(wanted)s", "role:100%%",
    "user:%(creator)s", "user_id:%(user_id)s", "user_id:u1", "project_id:%(project_id)s", "project_id:p1",
    "project_id:%(resource.project_id)s", "project_id:%(created_by_project_id)s", "tenant:%(project_id)s",
    "domain_id:%(domain_id)s", "domain_id:d1", "user_domain_id:%(domain_id)s", "project_domain_id:d2",
    "system_scope:all", "system:all", "is_admin_project:True", "is_admin_project:False", "is_admin:True", "is_admin:1",
    "service_roles:service", "service_user_id:%(user_id)s", "service_project_id:p2", "roles:member", "roles:Member",
    "'alice':%(creator)s", "\"p1\":%(project_id)s", "None:None", "None:%(flag)s", "True:%(flag)s", "False:False",
    "7:%(number)s", "-3:%(number)s", "nosuch:x", "no.such.thing:x", "user:%(creator)s%(number)s", "user:100%%",
    "project_id:%(absent)s", "role:%(absent)s", "user_id:", "role:a:b",
]
UNPARSABLE = [
    "role:admin and", "or role:admin", "role:admin role:member", "(role:admin", "role:admin)", "admin", "not", "()",
    "'quoted:text'", "'alice':'alice'", "role:a and or role:b", " ",
]
ROLES = ["admin", "Member", "member", "reader", "service", "ADMIN", "100%"]
CALLERS = {
    "user": ["alice", "bob", "7", "100%", "u1:p1"], "user_id": ["u1", "u2", ""], "user_domain_id": ["d1", "d2"],
    "project_id": ["p1", "p2"], "project_domain_id": ["d1", "d2"], "service_user_id": ["u1", "u2"],
    "service_project_id": ["p1", "p2"],
}
TARGETS = {
    "creator": ["alice", "bob", "u1:p1"], "project_id": ["p1", "p2"], "resource.project_id": ["p1", "p2"],
    "created_by_project_id": ["p1", "p2"], "user_id": ["u1", "u2"], "domain_id": ["d1", "d2"],
    "wanted": ["ADMIN", "reader", "100%"], "flag": ["True", "False", "None"], "number": ["7", "8", "-3"],
}
SCOPES = ["system", "domain", "project"]


class Maker:
    """Makes worlds from a seed; `catalogues` are the real ones, by name."""

    def __init__(self, seed: int, catalogues: dict[str, list[dict[str, Any]]]) -> None:
        self.random = random.Random(seed)
        self.catalogues = catalogues

    def next(self) -> World:
        """One world."""
        choice = self.random.choice([*self.catalogues, "generated"])
        rules = self.catalogues.get(choice) or self.catalogue()
        files = [self.file(rules) for _ in range(self.random.choice([0, 1, 1, 1, 2, 3]))]
        return {
            "catalogue": rules if choice == "generated" else choice,
            "rules": rules,
            "given": sum(map(len, files)),
            "enforce_scope": self.random.random() < 0.7,
            "enforce_new_defaults": self.random.random() < 0.5,
            "files": [self.written(file) for file in files],
            "questions": self.questions(rules, {name for file in files for name in file}),
        }

    def catalogue(self) -> list[dict[str, Any]]:
        """A catalogue with what the real ones lack: rules that had other names."""
        rules = [{"name": name, "check": self.expression(1, []), "scopes": [], "deprecated": None} for name in ("base_a", "base_b")]
        for number in range(self.random.randint(3, 8)):
            old = self.random.choice([f"thing:{number}", f"old:{number}", "old:shared", None])
            check = self.expression(2, ["base_a", "base_b"])
            old_check = check if self.random.random() < 0.2 else self.expression(2, ["base_a", "base_b"])
            rules.append({
                "name": f"thing:{number}", "check": check, "deprecated": old and [old, old_check],
                "scopes": self.random.sample(SCOPES, self.random.randint(0, 3)),
            })
        return rules

    def order(self, rules: list[dict[str, Any]]) -> list[str]:
        """Names such that rules that refer only to later ones make no circle."""
        old = [rule["deprecated"][0] for rule in rules if rule["deprecated"]]
        asked = [rule["name"] for rule in rules if rule["scopes"] or ":" in rule["name"]]
        base = [rule["name"] for rule in rules if rule["name"] not in asked and rule["name"] != "default"]
        return [*dict.fromkeys([*asked, *old, "mine", "yours", "default", *base])]

    def file(self, rules: list[dict[str, Any]]) -> dict[str, Any]:
        """What a policy file says."""
        order = self.order(rules)
        given = {}
        for name in self.random.sample(order, min(len(order), self.random.randint(1, 9))):
            later = order[order.index(name) + 1:] if ":" in name or " " in name or name in ("mine", "yours") else []
            known = [rule for rule in rules if rule["name"] == name or rule["deprecated"] and rule["deprecated"][0] == name]
            kind = self.random.random()
            if kind < 0.004:
                given[name] = self.random.choice(UNPARSABLE)
            elif kind < 0.01:
                given[name] = f"rule:{self.random.choice(order)}"
            elif kind < 0.1 and known:
                rule = self.random.choice(known)
                given[name] = self.random.choice([rule["check"], f"rule:{rule['name']}", (rule["deprecated"] or ["", "@"])[1]])
            elif kind < 0.12:
                given[name] = ""
            elif kind < 0.2:
                given[name] = self.lists(later)
            else:
                given[name] = self.expression(self.random.randint(0, 4), later and [*later, "missing"])
        return given

    def check(self, names: list[str]) -> str:
        """One check, which may refer to `names`; those with spaces cannot be referred to."""
        names = [name for name in names if " " not in name]
        if names and self.random.random() < 0.25:
            return f"rule:{self.random.choice(names)}"
        return self.random.choice(CHECKS)

    def expression(self, depth: int, names: list[str]) -> str:
        """A rule."""
        kind = self.random.random()
        if depth == 0 or kind < 0.3:
            return self.check(names)
        if kind < 0.45:
            inner = self.expression(depth - 1, names)
            return self.random.choice(["not ", "NOT ", "Not\t"]) + f"({inner})"
        if kind < 0.5:
            return f"not {self.check(names)}"
        if kind < 0.6:
            return self.random.choice(["({})", "( {} )", "(({}))"]).format(self.expression(depth - 1, names))
        parts = [self.expression(depth - 1, names) for _ in range(self.random.randint(2, 4))]
        text = parts[0]
        for part in parts[1:]:
            text += self.random.choice([" and ", " or ", " AND ", " Or  ", "\n  and "]) + part
        return text

    def lists(self, names: list[str]) -> list[Any]:
        """A rule in the older form."""
        def one() -> Any:
            if self.random.random() < 0.3:
                return self.check(names)
            return [self.check(names) for _ in range(self.random.randint(0, 3))]

        return [one() for _ in range(self.random.randint(0, 3))]

    def written(self, file: dict[str, Any]) -> str:
        """A file's text, as people and programs write them."""
        kind = self.random.random()
        if kind < 0.4:
            return json.dumps(file, indent=self.random.choice([None, 4]))
        style = self.random.choice([None, '"', "'"])
        text = yaml.safe_dump(file, default_style=style, width=self.random.choice([40, 4000]))
        return f"# overrides\n\n{text}# the end\n"

    def questions(self, rules: list[dict[str, Any]], given: set[str]) -> list[dict[str, Any]]:
        """Each rule of the files and some others, for several callers and targets."""
        others = [rule["name"] for rule in rules] + ["missing"]
        names = sorted(given) + self.random.sample(others, min(4, len(others)))
        return [self.question(name) for name in names for _ in range(4)]

    def question(self, rule: str) -> dict[str, Any]:
        def some(values: dict[str, list[str]]) -> dict[str, Any]:
            return {name: self.random.choice(given) for name, given in values.items() if self.random.random() < 0.7}

        credentials = some(CALLERS) | {"roles": self.random.sample(ROLES, self.random.randint(0, 3))}
        credentials["is_admin_project"] = self.random.random() < 0.3
        credentials["service_roles"] = self.random.sample(ROLES, self.random.randint(0, 2))
        scope = self.random.random()
        if scope < 0.2:
            credentials["system_scope"] = "all"
        if 0.15 < scope < 0.4:
            credentials["domain_id"] = self.random.choice(["d1", "d2"])
        return {"rule": rule, "target": some(TARGETS), "credentials": credentials}
