"""Seeded random questions about series, in the form that the oracle reads."""

import random
import struct
from typing import Any

SECOND = 1_000_000_000
PLAIN = ["mean", "sum", "last", "max", "min", "std", "median", "first", "count"]
CROSS = ["mean", "median", "std", "min", "max", "sum", "var", "count"]
WIDTHS = [SECOND // 2, SECOND, 5 * SECOND, 60 * SECOND, 300 * SECOND, 3600 * SECOND, 86400 * SECOND]
FILLS = [None, "null", "dropna", "ffill", "bfill", "full_ffill", "full_bfill", 0.0, -1.5]
COMPARISONS = ["=", "==", "eq", "<", "lt", ">", "gt", "<=", "≤", "le", ">=", "≥", "ge", "!=", "≠", "ne"]
ARITHMETIC = ["%", "mod", "+", "add", "-", "sub", "*", "×", "mul", "/", "÷", "div", "**", "^", "pow"]
UNARY = ["abs", "absolute", "neg", "negative", "cos", "sin", "tan", "floor", "ceil"]

# The last bits of these are the mathematics library's own.
INEXACT = {"**", "^", "pow", "cos", "sin", "tan"}

Question = dict[str, Any]


def bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def from_bits(number: int) -> float:
    return struct.unpack("<d", struct.pack("<Q", number))[0]


def words(tree: Any) -> list[str]:
    """The names in a tree of operations."""
    if isinstance(tree, list):
        return [word for part in tree for word in words(part)]
    return [tree] if isinstance(tree, str) else []


def fragile(tree: Any) -> bool:
    """Whether a last bit that is nobody's fault may become a visible difference."""
    named = words(tree)
    inexact = sum(word in INEXACT or word.endswith("pct") for word in named)
    return inexact > 1 or inexact == 1 and any(word in ("floor", "ceil", "%", "mod") for word in named)


def narrowed(tree: Any, n: int) -> bool:
    """Whether some operation takes only some of the `n` series."""
    if not isinstance(tree, list):
        return False
    if tree[0] == "metric":
        return len(tree) - 1 < n
    return any(narrowed(part, n) for part in tree[1:])


class Questions:
    """What is asked, drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kinds = [(self.aggregate, 6), (self.resample, 3), (self.deduplicate, 2), (self.predicate, 2), (self.operations, 9)]

    def next(self) -> Question:
        makers, weights = zip(*self.kinds)
        return self.random.choices(makers, weights)[0]()

    def method(self) -> str:
        base = self.random.choice([*PLAIN, f"{self.random.randint(1, 99)}pct"])
        return self.random.choice(["", "rate:"]) + base

    def cross(self, last: bool = False) -> str:
        """A method across series; counts, integers there and floats here, only as the last operation."""
        return self.random.choice(["", "", "rate:"]) + self.random.choice(CROSS if last else CROSS[:-1])

    def values(self, n: int) -> list[float]:
        style = self.random.choice(["integers", "floats", "wild", "equal", "gaps"])
        draw = {
            "integers": lambda: float(self.random.randint(-50, 50)),
            "floats": lambda: self.random.uniform(-1e3, 1e3),
            "wild": lambda: self.random.choice([-1, 1]) * 10.0 ** self.random.uniform(-9, 9),
            "equal": lambda: 42.25,
            "gaps": lambda: self.random.choice([float("nan"), float("inf"), 1.5, -2.0, self.random.gauss(0, 1)]),
        }[style]
        return [draw() for _ in range(n)]

    def raw(self) -> list[Any]:
        """Measures at microseconds, now dense and now sparse."""
        n = self.random.choice([0, 1, 2, 3, 10, 50, 200, 600])
        at = self.random.randint(1_400_000_000, 1_800_000_000) * SECOND
        step = self.random.choice([1000, SECOND // 10, SECOND, 10 * SECOND, 60 * SECOND, 7200 * SECOND])
        regular = self.random.random() < 0.5
        times = []
        for _ in range(n):
            times.append(at)
            at += step if regular else self.random.randint(1, 4 * step // 1000) * 1000
        return [times, [bits(value) for value in self.values(n)]]

    def aligned(self, width: int, within: int) -> list[Any]:
        """Stored aggregates: at most `within` buckets from a common start, some of them missing."""
        keep = self.random.choice([1.0, 0.95, 0.6, 0.1])
        start = 1_600_000_000 * SECOND // width * width
        times = [start + i * width for i in range(within) if self.random.random() < keep]
        return [times, [bits(value) for value in self.values(len(times))]]

    def aggregate(self) -> Question:
        points = self.raw()
        return {
            "kind": "aggregate",
            "points": points,
            "split": self.random.randint(0, len(points[0])) if self.random.random() < 0.5 else 0,
            "granularity": self.random.choice(WIDTHS),
            "methods": [self.method() for _ in range(self.random.randint(1, 6))],
        }

    def resample(self) -> Question:
        width = self.random.choice(WIDTHS)
        method = self.method()
        letter = self.random.choice("YHQMW")
        # Upstream has no rates by calendar.
        calendar = self.random.random() < 0.5 and not method.startswith("rate:")
        grouping = letter if calendar else width * self.random.randint(1, 9)
        return {"kind": "resample", "points": self.aligned(width, 300), "grouping": grouping, "method": method}

    def deduplicate(self) -> Question:
        def batch() -> list[Any]:
            n = self.random.randint(0, 12)
            times = [self.random.randint(1, 9) * SECOND for _ in range(n)]
            return [times, [bits(value) for value in self.values(n)]]

        return {"kind": "deduplicate", "batches": [batch() for _ in range(self.random.randint(1, 4))]}

    def predicate(self) -> Question:
        values = [value for value in self.values(20) if value == value]
        return {"kind": "predicate", "tree": self.condition(3), "values": [bits(value) for value in values]}

    def condition(self, depth: int) -> Any:
        if depth and self.random.random() < 0.4:
            parts = [self.condition(depth - 1) for _ in range(self.random.randint(1, 3))]
            return {self.random.choice(["and", "or"]): parts}
        return {self.random.choice(COMPARISONS): self.comparand(depth)}

    def comparand(self, depth: int) -> Any:
        number = self.random.choice([0, 1, 2.5, -3, 50])
        if not depth or self.random.random() < 0.4:
            return number
        operator = self.random.choice([name for name in ARITHMETIC if name not in ("**", "^", "pow")])
        return [{operator: self.random.choice([1, 2.5, -3])}, self.random.choice([number, {"*": 2}])]

    def operations(self) -> Question:
        width = self.random.choice(WIDTHS)
        n = self.random.choice([1, 2, 2, 3, 9, 20])
        within = self.random.choice([1, 2, 5, 40, 200])
        fill = self.random.choice(FILLS)
        overlap = None
        if fill is None:
            overlap = [self.random.choice([0.0, 30.0, 80.0, 100.0]), self.random.random() < 0.5, self.random.random() < 0.5]
        tree = self.tree(self.random.choice([1, 2, 3]), n, width)
        while fragile(tree):
            tree = self.tree(self.random.choice([1, 2, 3]), n, width)
        if narrowed(tree, n) or self.random.random() < 0.1:
            # Upstream lists every series of the request, so that it fails where fewer are left.
            tree = ["aggregate", self.cross(last=True), tree]
        elif self.random.random() < 0.1:
            tree = ["rolling", self.cross(last=True), self.random.choice([1, 3, 20]), tree]
        if self.random.random() < 0.1 and not INEXACT & set(words(tree)):
            tree = [self.random.choice(COMPARISONS), tree, self.random.choice([0, 1.5, -2])]
        return {
            "kind": "operations",
            "granularity": width,
            "series": [self.aligned(width, within) for _ in range(n)],
            "fill": bits(fill) if isinstance(fill, float) else fill,
            "overlap": overlap,
            "tree": tree,
        }

    def tree(self, depth: int, n: int, width: int) -> Any:
        kind = self.random.choice(["metric", "aggregate", "rolling", "resample", "math", "number", "unary", "rate", "clip"])
        if not depth or kind == "metric":
            count = n if self.random.random() < 0.6 else 1
            return ["metric", *[[f"m{i}", "mean"] for i in sorted(self.random.sample(range(n), count))]]
        inner = self.tree(depth - 1, n, width)
        number = self.random.choice([0, 1, 2, 2.5, -3, 1e6])
        match kind:
            case "aggregate":
                return ["aggregate", self.cross(), inner]
            case "rolling":
                return ["rolling", self.cross(), self.random.choice([1, 2, 3, 9, 40, 150]), inner]
            case "resample":
                method = self.random.choice([m for m in (self.method(), "mean", "rate:max") if m])
                return ["resample", method, width * self.random.randint(1, 5), inner]
            case "math":
                operator = self.random.choice([*ARITHMETIC, "max", "clip_min", "clip_max"])
                return [operator, inner, self.tree(depth - 1, n, width)]
            case "number":
                operator = self.random.choice([*ARITHMETIC, "max", "clip_min", "clip_max"])
                pair = [inner, number] if operator.startswith("clip") or self.random.random() < 0.5 else [number, inner]
                return [operator, *pair]
            case "unary":
                return [self.random.choice(UNARY), inner]
            case "rate":
                return [self.random.choice(["rateofchange", "rateofchangesec"]), inner]
            case _:
                return ["clip", inner, -1, number] if self.random.random() < 0.5 else ["clip", inner, number]
