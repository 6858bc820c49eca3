"""Random paths in random values, followed by `jsonpath-rw-ext` and by ours: the same matches at the same places."""

import contextlib
import io
import json
import random
from typing import Any

from jsonpath_rw_ext import parser

from harness.outcome import Outcome
from oracle import ask

NAMES = ["a", "b", "c", "id", "name", "x-y", "_z"]
TEXTS = ["", "a.b.c", "x", "7", "foo bar", "é"]


def value(made: random.Random, depth: int) -> Any:
    kind = made.randrange(10)
    if depth > 0 and kind < 4:
        return {made.choice([*NAMES, "dotted.name"]): value(made, depth - 1) for _ in range(made.randrange(1, 4))}
    if depth > 0 and kind < 7:
        return [value(made, depth - 1) for _ in range(made.randrange(4))]
    return made.choice([None, True, False, 0, 1, 7, -2, 2.5, 1.0, *TEXTS])


class Maker:
    """Makes paths; most of them are ones."""

    def __init__(self, made: random.Random) -> None:
        self.made = made

    def field(self) -> str:
        made = self.made
        name = made.choice(NAMES)
        return made.choice([name, name, name, name, f"'{name}'", "'dotted.name'", "*", f"{name},{made.choice(NAMES)}", "`this`", "`len`", "`parent`", "$", "@",
                            "`split(., 1, -1)`", "`split(o, 0, 1)`", "`sub(/a/, z)`", "`sub(/(\\\\w)/, <\\\\1>)`", "`sorted`"])

    def bracket(self, depth: int) -> str:
        made = self.made
        return made.choice([f"[{made.randrange(-2, 4)}]", "[*]", f"[{made.choice(['', '0', '1', '-1'])}:{made.choice(['', '1', '2', '-1'])}]", f"['{made.choice(NAMES)}']",
                            f"[{made.choice(NAMES)}]", f"[?{self.conditions(depth - 1)}]", f"[/{made.choice(NAMES)}]", f"[\\{made.choice(NAMES)},/{made.choice(NAMES)}]"])

    def conditions(self, depth: int) -> str:
        parts = [self.condition(depth) for _ in range(self.made.choice([1, 1, 1, 2]))]
        text = " & ".join(parts)
        return f"({text})" if self.made.random() < 0.3 else text

    def condition(self, depth: int) -> str:
        made = self.made
        left = made.choice([f"@.{made.choice(NAMES)}", made.choice(NAMES), "@", self.path(min(depth, 1))])
        if made.random() < 0.2:
            return left
        return f"{left} {made.choice(['=', '==', '!=', '<', '<=', '>', '>=', '~'])} {made.choice(['x', '7', '1', chr(39) + 'a.b' + chr(39), '2.5', 'true', 'false', chr(39) + '[a-z]+' + chr(39)])}"

    def path(self, depth: int) -> str:
        made = self.made
        text = self.field()
        if depth <= 0:
            return text
        for _ in range(made.randrange(4)):
            text += made.choice([lambda: "." + self.field(), lambda: "." + self.field(), lambda: self.bracket(depth), lambda: "." + self.bracket(depth),
                                 lambda: ".." + self.field(), lambda: f".({self.path(depth - 1)}|{self.path(depth - 1)})", lambda: "|" + self.field(),
                                 lambda: f" where {self.field()}", lambda: f" {made.choice('+-*')} {self.operand(depth - 1)}", lambda: f" {made.choice('+-*')} {self.operand(depth - 1)}"])()
        return f"({text})" if made.random() < 0.1 else text

    def operand(self, depth: int) -> str:
        return self.made.choice(["1", "2", "2.5", "'-'", f"$.{self.path(depth)}", f"$.{self.made.choice(NAMES)}"])


def theirs(reader: Any, text: str, root: Any) -> dict[str, Any]:
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            path = reader.parse(text)
        except Exception as error:  # noqa: BLE001
            return {"error": "syntax", "message": str(error)}
    try:
        found = path.find(root)
        return {"values": [match.value for match in found], "places": [place(match) for match in found]}
    except NotImplementedError:
        return {"error": "syntax", "message": "an intersection"}
    except RecursionError:
        raise
    except Exception as error:  # noqa: BLE001
        return {"error": "evaluation", "message": f"{type(error).__name__}: {error}"}


def place(match: Any) -> str:
    """Where a match was, as Ceilometer's definitions tell plugins."""
    steps = []
    while match.context is not None:
        steps.append(str(match.path))
        match = match.context
    return ".".join(reversed(steps))


def meant(text: str, ours: dict[str, Any], python: dict[str, Any]) -> bool:
    """Whether the sides may differ: ours refuses at once what can never be evaluated, and knows what is above the root."""
    ours_says, python_says = ours.get("message", ""), python.get("message", "")
    intersection = " & " in text and (ours.get("error") == "syntax" or python_says == "an intersection")
    above_root = "no parent" in ours_says or "has no attribute 'value'" in python_says
    return intersection or above_root or "`~` needs a regular" in ours_says


def compare(made: random.Random, cases: int, outcome: Outcome) -> None:
    reader = parser.ExtentedJsonPathParser()
    pairs = [(Maker(made).path(made.randrange(1, 4)), value(made, 4)) for _ in range(cases)]
    answers = ask([{"ask": "path", "text": text, "value": root} for text, root in pairs])
    found = 0
    for (text, root), ours in zip(pairs, answers, strict=True):
        python = theirs(reader, text, root)
        if "error" in python or "error" in ours:
            agree = ours.get("error") == python.get("error") or meant(text, ours, python)
        else:
            found += bool(ours["values"])
            agree = json.dumps(ours["values"]) == json.dumps(python["values"]) and ours["places"] == python["places"]
        outcome.check(f"`{text}`", agree, f"in {json.dumps(root)[:200]}: ours {str(ours)[:200]}, theirs {str(python)[:200]}")
    outcome.check("many paths find something", found > cases // 10, f"{found} of {cases}")
    print(f"paths: {found} of {cases} find something", flush=True)
