"""Asks ours and upstream's the same questions and compares."""

import collections
import json
import math
import pathlib
import subprocess
import warnings
from typing import Any

import numpy
from harness.outcome import Outcome

import upstream
from questions import INEXACT, Question, Questions, from_bits, words

RELATIVE = 1e-9


def run(root: pathlib.Path, cases: int, seed: int) -> int:
    """Asks `cases` questions; returns the exit status."""
    warnings.simplefilter("ignore")
    numpy.seterr(all="ignore")
    maker = Questions(seed)
    questions = [maker.next() for _ in range(cases)]
    outcome = Outcome()
    unasked = collections.Counter()
    for number, (question, ours) in enumerate(zip(questions, oracle(root, questions), strict=True)):
        name = f"case {number} ({question['kind']})"
        try:
            wanted = upstream.answer(question)
        except upstream.Unasked as error:
            unasked[str(error)[:60]] += 1
            continue
        except ValueError as error:
            said = ours.get("error")
            outcome.check(name, said is not None and same_refusal(said, str(error)), f"ours {said!r}, theirs {error}")
            continue
        problem = difference(question, ours, wanted)
        outcome.check(name, problem is None, f"{problem}; {brief(question)}")
    for reason, count in unasked.most_common():
        print(f"  {count} questions that upstream cannot answer: {reason}")
    return outcome.finish()


def oracle(root: pathlib.Path, questions: list[Question]) -> list[dict[str, Any]]:
    """Our answers, in order."""
    command = ["cargo", "run", "-q", "-p", "nephometer-series", "--example", "oracle"]
    lines = "".join(json.dumps(for_us(question)) + "\n" for question in questions)
    done = subprocess.run(command, cwd=root, check=True, input=lines, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def for_us(question: Question) -> Question:
    """Where a question is split, ours sees only what comes after the split and the measure before it."""
    split = question.get("split", 0)
    if not split:
        return question | {"previous": None}
    times, values = question["points"]
    return question | {"points": [times[split:], values[split:]], "previous": [times[split - 1], values[split - 1]]}


def same_refusal(ours: str, theirs: str) -> bool:
    if theirs == "shapes":
        return ours.startswith("Can't compute")
    return theirs.startswith(ours)


def difference(question: Question, ours: dict[str, Any], wanted: list[upstream.Points]) -> str | None:
    """The first difference in words; None where there is none."""
    if "error" in ours:
        return f"ours refuses: {ours['error']}"
    kind = question["kind"]
    if kind == "predicate":
        return None if [float(found) for found in ours["ok"]] == wanted[0][1] else "other points found"
    got = [ours["ok"]] if kind in ("resample", "deduplicate") else ours["ok"]
    if kind == "operations":
        # An aggregated answer is the first column; others are the columns that have a name.
        got = (got + [[[], []]] * len(wanted))[: len(wanted)]
    slack = RELATIVE * largest(question)
    for at, (mine, theirs) in enumerate(zip(got, wanted, strict=True)):
        method = question["methods"][at] if kind == "aggregate" else question.get("method", "")
        begin = first_whole(question)
        exact = is_exact(question, method)
        problem = differing(mine, theirs, begin, None if exact else slack)
        if problem:
            return f"{method or kind} {at}: {problem}"
    return None


def first_whole(question: Question) -> int:
    """The first bucket that a split leaves whole."""
    split = question.get("split", 0)
    times = question["points"][0] if "points" in question else []
    if not split or split >= len(times):
        return 0 if not split else 1 << 62
    width = question["granularity"]
    return times[split - 1] // width * width + width


def differing(mine: list[Any], theirs: upstream.Points, begin: int, slack: float | None) -> str | None:
    ours = [(time, from_bits(value)) for time, value in zip(*mine) if time >= begin]
    wanted = [(time, value) for time, value in zip(*theirs) if time >= begin]
    if [time for time, _ in ours] != [time for time, _ in wanted]:
        return f"times {[t for t, _ in ours][:5]}… ({len(ours)}), wanted {[t for t, _ in wanted][:5]}… ({len(wanted)})"
    for (time, got), (_, value) in zip(ours, wanted):
        if not same(got, value, slack):
            return f"at {time} {got!r}, wanted {value!r}"
    return None


def same(got: float, wanted: float, slack: float | None) -> bool:
    if math.isnan(got) or math.isnan(wanted):
        return math.isnan(got) and math.isnan(wanted)
    if got == wanted:
        return True
    return slack is not None and abs(got - wanted) <= max(slack, RELATIVE * abs(wanted))


def is_exact(question: Question, method: str) -> bool:
    if question["kind"] == "operations":
        named = set(words(question["tree"]))
        return not named & INEXACT and not any(word.endswith("pct") for word in named)
    return not method.endswith("pct")


def largest(question: Question) -> float:
    """The largest finite value that goes in."""
    series = question.get("series") or question.get("batches") or [question.get("points", [[], []])]
    values = [abs(from_bits(value)) for points in series for value in points[1]]
    return max((value for value in values if math.isfinite(value)), default=1.0)


def brief(question: Question) -> str:
    return json.dumps({key: value for key, value in question.items() if key not in ("points", "series")}, ensure_ascii=False)[:400]
