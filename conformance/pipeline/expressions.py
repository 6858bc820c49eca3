"""Random expressions, evaluated by Python itself and by our engine.

Where both have a value it must be the same, the kinds of numbers included; where Python has an exception, ours must be of
the same kind. What we refuse on purpose (numbers beyond 128 bits, complex ones, work without bounds) is counted apart, and
must stay rare.
"""

import functools
import json
import math
import random
import re
from typing import Any

from harness.outcome import Outcome
from oracle import ask

NAMES: dict[str, Any] = {
    "value": {"id": "x$y", "n": 5, "f": 2.5, "none": None, "tags": ["a", "b", "c"], "list": [3, 1, 2], "inner": {"k": "v", "n": 7}},
    "i": 7, "j": -3, "zero": 0, "x": 2.5, "y": -0.125, "big": 2**53, "t": "Hello World", "u": "a,b,,c", "s": " pad\t", "e": "",
    "items": [{"id": 1, "up": True}, {"id": 2, "up": False}, {"id": 3}], "nums": [4, -2, 9.5, 0], "words": ["pear", "fig", "Apple"],
    "mixed": [1, "a", None, True, 2.0], "yes": True, "no": False, "nothing": None, "digits": "42", "decimal": "2.50",
}
SCOPE = {"re": re, "json": json, "functools": functools, "reduce": functools.reduce}
REPLACEMENTS = ("'_'", r"r'[\g<0>]'")
REFUSALS = {"LimitError", "UnsupportedError"}


class Maker:
    """Makes expressions that mostly have a value: each method is for a type."""

    def __init__(self, made: random.Random) -> None:
        self.made = made
        self.bound: list[str] = []

    def pick(self, *options: str) -> str:
        return self.made.choice(options)

    def any(self, depth: int) -> str:
        return self.made.choice([self.int, self.float, self.str, self.bool, self.list, self.dict])(depth)

    def number(self, depth: int) -> str:
        return self.made.choice([self.int, self.int, self.float])(depth)

    def int(self, d: int) -> str:
        m = self.made
        if d <= 0:
            local = [m.choice(self.bound)] if self.bound and m.random() < 0.5 else []
            return m.choice(local or ["0", "1", "2", "3", "10", "1_000", "0x1f", "i", "j", "big", "zero", "value['n']", "-7", "10**9"])
        one, two = (lambda: self.int(d - 1)), (lambda: self.number(d - 1))
        return m.choice([
            lambda: f"({one()} {m.choice('+-*%&|^')} {one()})", lambda: f"({one()} // {one()})", lambda: f"(-{one()})",
            lambda: f"{one()} {m.choice('+-*')} {one()}", lambda: f"({one()} ** {m.randrange(0, 4)})", lambda: f"abs({one()})",
            lambda: f"len({self.str(d - 1)})", lambda: f"len({self.list(d - 1)})", lambda: f"int({two()})", lambda: f"int('{m.randrange(-99, 99)}')",
            lambda: f"round({two()})", lambda: f"sum({self.ints(d - 1)})", lambda: f"({one()} if {self.bool(d - 1)} else {one()})",
            lambda: f"max({one()}, {one()})", lambda: f"min({self.ints(d - 1)})", lambda: f"{self.str(d - 1)}.count({self.str(0)})",
            lambda: f"{self.str(d - 1)}.find({self.str(0)})", lambda: f"({one()} << {m.randrange(0, 5)})", lambda: f"({one()} >> 1)",
            lambda: f"(~{one()})", lambda: f"reduce(lambda a, b: a + b, {self.ints(d - 1)}, 0)", lambda: f"ord({self.str(0)}[0])",
            lambda: f"round({one()}, -1)", lambda: f"(lambda q: q * 2)({one()})", lambda: f"divmod({one()}, {one()})[1]",
        ])()

    def float(self, d: int) -> str:
        m = self.made
        if d <= 0:
            return self.pick("x", "y", "0.5", "1e3", "2.0", ".25", "1e-7", "value['f']", "100.0", "-1.5", "1e16", "0.1")
        one, two = (lambda: self.number(d - 1)), (lambda: self.float(d - 1))
        return m.choice([
            lambda: f"({one()} / {one()})", lambda: f"({two()} {m.choice('+-*')} {one()})", lambda: f"({one()} % {two()})",
            lambda: f"({two()} // {one()})", lambda: f"float({one()})", lambda: f"round({two()}, {m.randrange(-2, 4)})",
            lambda: f"float('{m.uniform(-50, 50):.3f}')", lambda: f"abs({two()})", lambda: f"({two()} ** 2)", lambda: f"-{two()}",
            lambda: f"max({two()}, {one()})", lambda: f"sum([{two()}, {one()}])", lambda: f"pow({two()}, {one()})",
        ])()

    def str(self, d: int) -> str:
        m = self.made
        if d <= 0:
            return self.pick("t", "u", "s", "e", "'a'", "'lo'", "','", "\"it's\"", "value['id']", "'x' 'y'", "r'\\d'", "'é日'", "digits", "words[0]")
        one = lambda: self.str(d - 1)  # noqa: E731
        return m.choice([
            lambda: f"({one()} + {one()})", lambda: f"{one()}.{self.pick('upper', 'lower', 'strip', 'title', 'capitalize', 'swapcase', 'lstrip', 'rstrip')}()",
            lambda: f"{one()}.replace({self.str(0)}, {self.str(0)})", lambda: f"{one()}[{self.slice()}]", lambda: f"{one()}[{m.randrange(-3, 5)}]",
            lambda: f"{one()}.split({self.pick('', chr(39) + ',' + chr(39), chr(39) + 'o' + chr(39))})[0]", lambda: f"str({self.any(d - 1)})",
            lambda: f"repr({self.any(d - 1)})", lambda: f"{self.str(0)}.join({self.strs(d - 1)})", lambda: f"f'{{{self.any(d - 1).replace(chr(39), chr(34))}}}'"
            if "\\" not in (probe := self.any(d - 1)) and '"' not in probe else "''", lambda: self.fstring(d),
            lambda: f"({one()} * {m.randrange(-1, 4)})", lambda: f"({one()} if {self.bool(d - 1)} else {one()})", lambda: f"({one()} or {one()})",
            lambda: f"re.sub({self.pattern()}, {self.pick(*REPLACEMENTS)}, {one()})",
            lambda: f"json.dumps({self.any(d - 1)}{self.pick('', ', sort_keys=True', ', indent=2', ', ensure_ascii=False')})",
            lambda: f"'%s|%5.2f|%d' % ({one()}, {self.number(d - 1)}, {self.int(d - 1)})", lambda: f"'{{}}-{{0!r:>8}}'.format({one()})"
            if m.random() < 0.2 else f"'{{0}}/{{1:>6}}/{{k}}'.format({one()}, {self.int(0)}, k={one()})", lambda: f"{one()}.zfill({m.randrange(8)})",
            lambda: f"{one()}.{self.pick('ljust', 'rjust', 'center')}({m.randrange(12)}, '*')", lambda: f"max({self.strs(d - 1)})", lambda: f"{one()}.partition('o')[2]",
            lambda: f"chr({m.randrange(32, 500)})", lambda: f"format({self.number(d - 1)}, '{self.spec()}')", lambda: f"hex({self.int(d - 1)})",
        ])()

    def fstring(self, d: int) -> str:
        parts = []
        for _ in range(self.made.randrange(1, 3)):
            inner = self.made.choice([self.int, self.float])(d - 1)
            if '"' in inner or "'" in inner or "\\" in inner:
                inner = "i"
            parts.append(f"{{{inner}:{self.spec()}}}" if self.made.random() < 0.5 else f"{{({inner})!r}}")
        return f"f'<{' '.join(parts)}{{{{}}}}>'"

    def spec(self) -> str:
        m = self.made
        return m.choice(["", "*", "0"]) + m.choice(["<", ">", "^"]) * 1 + m.choice(["", "+", " "]) + m.choice(["", "8", "12"]) + m.choice(["", ","]) + m.choice(
            ["", ".0f", ".2f", ".3e", "g", ".4g", ".3", "%", ".1%"])

    def pattern(self) -> str:
        return self.pick("'o'", "r'[a-z]+'", "'(l+)(o)?'", "r'\\s'", "'^.'", "'.$'", "''", "'x*'", "r'(?P<w>\\w)\\w'", "'a|,'")

    def bool(self, d: int) -> str:
        m = self.made
        if d <= 0:
            return self.pick("yes", "no", "True", "False", "not nothing", "value.get('up')", "'id' in value")
        return m.choice([
            lambda: f"({self.number(d - 1)} {self.pick('<', '<=', '>', '>=', '==', '!=')} {self.number(d - 1)})", lambda: f"(not {self.bool(d - 1)})",
            lambda: f"({self.bool(d - 1)} {self.pick('and', 'or')} {self.bool(d - 1)})", lambda: f"({self.str(d - 1)} {self.pick('in', 'not in', '==', '<')} {self.str(d - 1)})",
            lambda: f"({self.any(d - 1)} in {self.list(d - 1)})", lambda: f"({self.any(d - 1)} == {self.any(d - 1)})", lambda: f"any({self.list(d - 1)})", lambda: f"all({self.list(d - 1)})",
            lambda: f"({self.any(d - 1)} is {self.pick('None', 'not None')})", lambda: f"isinstance({self.any(d - 1)}, {self.pick('int', 'str', '(list, dict)', 'float', 'bool')})",
            lambda: f"{self.str(d - 1)}.{self.pick('startswith', 'endswith')}({self.str(0)})", lambda: f"bool({self.any(d - 1)})", lambda: f"{self.str(d - 1)}.{self.pick('isdigit', 'isalpha', 'isupper', 'islower', 'isspace', 'isalnum')}()",
            lambda: f"({self.int(d - 1)} < {self.int(d - 1)} <= {self.int(d - 1)})", lambda: f"re.{self.pick('search', 'match', 'fullmatch')}({self.pattern()}, {self.str(d - 1)}) is not None",
        ])()

    def ints(self, d: int) -> str:
        m = self.made
        if d <= 0:
            return self.pick("[1, 2, 3]", "value['list']", "list(range(5))", "[5]", "[v['id'] for v in items]")
        name = f"v{len(self.bound)}"
        source = self.ints(d - 1)
        self.bound.append(name)
        element, condition = self.int(d - 1), self.bool(0)
        self.bound.pop()
        return m.choice([f"[{element} for {name} in {source}]", f"[{element} for {name} in {source} if {condition}]", f"list(map(lambda {name}: {element}, {source}))", f"sorted({source})", f"list(filter(lambda {name}: {element}, {source}))"])

    def strs(self, d: int) -> str:
        return self.pick("words", "value['tags']", f"{self.str(d - 1)}.split(',')", f"list({self.str(d - 1)})", f"[{self.str(d - 1)}, {self.str(d - 1)}]", "sorted(value.keys())", f"[str(w) for w in {self.list(d - 1)}]", f"re.findall({self.pick(chr(39) + 'o' + chr(39), 'r' + chr(39) + '[a-z]+' + chr(39))}, {self.str(d - 1)})", f"{self.str(d - 1)}.splitlines()", f"{self.str(d - 1)}.rsplit(None, 1)", f"{self.str(d - 1)}.split(None, 1)")

    def slice(self) -> str:
        part = lambda: self.made.choice(["", "", str(self.made.randrange(-4, 6))])  # noqa: E731
        return self.made.choice([f"{part()}:{part()}", f"{part()}:{part()}:{self.made.choice([-2, -1, 1, 2])}"])

    def list(self, d: int) -> str:
        m = self.made
        if d <= 0:
            return self.pick("[]", "[1, 'a', None]", "nums", "words", "mixed", "value['tags']", "(1, 2)", "items")
        return m.choice([
            lambda: f"[{', '.join(self.any(d - 1) for _ in range(m.randrange(4)))}]", lambda: f"{self.list(d - 1)}[{self.slice()}]", lambda: f"({self.list(d - 1)} + {self.list(d - 1)})",
            lambda: f"sorted({m.choice([self.ints, self.strs])(d - 1)}, reverse={self.bool(0)})", lambda: f"sorted({self.strs(d - 1)}, key=len)", lambda: f"list(zip({self.list(d - 1)}, {self.list(d - 1)}))",
            lambda: f"list(enumerate({self.list(d - 1)}))", lambda: f"list(reversed({self.list(d - 1)}))", lambda: f"tuple({self.list(d - 1)})", lambda: self.ints(d - 1),
            lambda: self.strs(d - 1), lambda: f"list({self.dict(d - 1)}.items())", lambda: f"[(a, b) for a in {self.list(0)} for b in {self.list(0)} if a != b]", lambda: f"({self.list(d - 1)} * 2)",
            lambda: f"re.split({self.pattern()}, {self.str(d - 1)})",
        ])()

    def dict(self, d: int) -> str:
        m = self.made
        if d <= 0:
            return self.pick("value", "{}", "{'a': 1, 2: 'b'}", "value['inner']", "items[0]")
        return m.choice([
            lambda: f"{{{self.str(0)}: {self.any(d - 1)}, {self.int(0)}: {self.any(d - 1)}}}", lambda: f"{{k: {self.any(d - 1)} for k in {self.strs(d - 1)}}}",
            lambda: f"{{k: v for k, v in {self.dict(d - 1)}.items() if v}}", lambda: f"dict(a={self.any(d - 1)}, b={self.any(0)})", lambda: f"dict(zip({self.strs(d - 1)}, {self.list(d - 1)}))", lambda: "json.loads(json.dumps(value))",
        ])()


def plain(value: Any) -> Any:
    """A result as JSON has it."""
    match value:
        case bool() | None | str():
            return value
        case int():
            if not -(2**63) <= value < 2**64:
                raise ValueError("beyond 64 bits")
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError("no JSON")
            return value
        case dict():
            return {next(iter(json.loads(json.dumps({key: 0})))): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case complex():
            raise OverflowError("complex")
    if hasattr(value, "__iter__"):
        return [plain(inner) for inner in value]
    raise TypeError(type(value).__name__)


def kind_of(error: Exception) -> str:
    return "re.error" if isinstance(error, re.error) else type(error).__name__


def theirs(text: str) -> dict[str, Any]:
    try:
        return {"value": plain(eval(text, dict(SCOPE)))}  # noqa: S307
    except Exception as error:  # noqa: BLE001
        return {"error": kind_of(error), "message": str(error)}


def same(ours: dict[str, Any], python: dict[str, Any]) -> bool:
    if "value" in ours and "value" in python:
        return json.dumps(ours["value"]) == json.dumps(python["value"])
    return "error" in ours and ours.get("error") == python.get("error")


def compare(made: random.Random, cases: int, outcome: Outcome) -> None:
    # Names must be seen inside lambdas and comprehensions, as they are in ours.
    SCOPE.update(NAMES)
    texts = []
    while len(texts) < cases:
        text = Maker(made).any(made.randrange(1, 5))
        if len(text) < 4000:
            texts.append(text)
    answers = ask([{"ask": "expression", "text": text, "names": NAMES} for text in texts])
    refused = 0
    for text, ours in zip(texts, answers, strict=True):
        python = theirs(text)
        if ours.get("error") in REFUSALS:
            refused += 1
            continue
        outcome.check(f"`{text}`", same(ours, python), f"ours {str(ours)[:300]}, Python {str(python)[:300]}")
    values = sum("value" in answer for answer in answers)
    outcome.check("most expressions have a value", values > cases // 2, f"{values} of {cases}")
    outcome.check("refusals are rare", refused < cases // 20, f"{refused} of {cases}")
    print(f"expressions: {values} values, {refused} refused, {cases - values - refused} errors", flush=True)
