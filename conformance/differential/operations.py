"""Random operation trees for POST /v1/aggregates."""

import random
from typing import Any, Callable

AGGREGATIONS = ("mean", "median", "std", "min", "max", "sum", "var", "count")
SPANS_SECONDS = (1, 2, 10, 60, 90, 300, 3600, 7200, 86400)
Leaf = Callable[[random.Random, int], Any]
# Where a last bit decides (comparisons, rounding, remainders, angles of large numbers) operands are exact ones.
STEPPED_BINARY = ("==", "eq", "=", "<", "lt", ">", "gt", "<=", "≤", "le", ">=", "≥", "ge", "!=", "≠", "ne", "%", "mod")
STEPPED_UNARY = ("floor", "ceil", "cos", "sin", "tan")
SMOOTH_BINARY = ("+", "add", "-", "sub", "*", "×", "mul", "/", "÷", "div", "max", "clip_min", "clip_max")
SMOOTH_UNARY = ("abs", "absolute", "neg", "negative", "rateofchange", "rateofchangesec")


def number(rng: random.Random) -> float:
    """A constant operand."""
    return rng.choice((0.0, 1.0, 2.0, 3.0, 0.5, -7.0, 100.0, 1e6))


def tree(rng: random.Random, leaf: Leaf, exact_leaf: Leaf, depth: int) -> Any:
    """A random tree at most `depth` operations deep; `leaf(rng, n)` makes a `metric` node of about n references."""
    if depth == 0:
        return leaf(rng, rng.choice((1, 1, 2, 4)))
    kind = rng.random()
    if kind < 0.25:
        aggregation = rng.choice(AGGREGATIONS)
        rated = "rate:" if rng.random() < 0.2 else ""
        return ["aggregate", rated + aggregation, tree(rng, leaf, exact_leaf, depth - 1)]
    if kind < 0.37:
        return ["rolling", rng.choice(AGGREGATIONS), rng.choice((1, 2, 3, 7)), tree(rng, leaf, exact_leaf, depth - 1)]
    if kind < 0.49:
        aggregation = rng.choice([a for a in AGGREGATIONS if a != "var"])
        return ["resample", aggregation, rng.choice(SPANS_SECONDS), tree(rng, leaf, exact_leaf, depth - 1)]
    if kind < 0.6:
        return [rng.choice(SMOOTH_UNARY), tree(rng, leaf, exact_leaf, depth - 1)]
    if kind < 0.68:
        return [rng.choice(STEPPED_UNARY), exact_leaf(rng, 2)]
    if kind < 0.78:
        operands = [exact_leaf(rng, 1), number(rng) if rng.random() < 0.6 else exact_leaf(rng, 1)]
        rng.shuffle(operands)
        return [rng.choice(STEPPED_BINARY), *operands]
    if kind < 0.83:
        return ["clip", tree(rng, leaf, exact_leaf, depth - 1), -10.0, number(rng)]
    if kind < 0.86:
        return [rng.choice(("**", "^", "pow")), exact_leaf(rng, 2), rng.choice((0.0, 1.0, 2.0, 3.0))]
    first = tree(rng, leaf, exact_leaf, depth - 1)
    second = number(rng) if rng.random() < 0.6 else tree(rng, leaf, exact_leaf, depth - 1)
    return [rng.choice(SMOOTH_BINARY), first, second]


def text(node: Any) -> str:
    """The tree in the string form."""
    if isinstance(node, list):
        return "(" + " ".join(text(part) for part in node) + ")"
    return node if isinstance(node, str) else repr(node)


def smooth(node: Any) -> bool:
    """Whether the tree has no operation that turns a last bit into a jump."""
    if not isinstance(node, list):
        return True
    return node[0] not in STEPPED_BINARY + STEPPED_UNARY and all(smooth(part) for part in node[1:])
