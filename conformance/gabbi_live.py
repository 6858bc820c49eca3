"""Runs Gnocchi's own gabbi test files against a server started afresh, on an empty directory, for each file.

    gabbi_live.py [--server 'CMD with {port} and {dir}' | --postgres | --peer] [--file NAME ...] [--jobs N] [--json OUT] [--keep]

The files come with the PyPI package gnocchi==4.7.1 (all 28 of `gnocchi/tests/functional/gabbits`) and are used as they
are. Prints one line a file, the names of the tests that failed with the reason, and last 'N passed, N failed'; the exit
status is 1 where anything failed. Tests listed in deviations.toml are expected to fail, count as neither passed nor
failed, and fail the run if they pass or do not exist.
"""

import argparse
import concurrent.futures
import dataclasses
import importlib.util
import json
import math
import os
import re
import shutil
import sys
import tempfile
import tomllib
import types
import unittest
from typing import Any, Iterator

import yaml
from gabbi import driver, fixture

from harness import server as live

HERE = os.path.dirname(os.path.abspath(__file__))
MOST_DEVIATIONS = 5
# Upstream runs its files under this prefix, and one of them names it in the addresses that it expects.
PREFIX = "/gnocchi"


class AssertNAN(yaml.YAMLObject):  # type: ignore[misc]
    """The files' tag `!AssertNAN`: equal to any NaN."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and math.isnan(other)


yaml.add_constructor("!AssertNAN", lambda loader, node: AssertNAN())


def fixture_module() -> types.ModuleType:
    """The fixture that the files name, empty: the server is started outside."""
    module = types.ModuleType("live_fixtures")
    setattr(module, "ConfigFixture", type("ConfigFixture", (fixture.GabbiFixture,), {}))
    return module


@dataclasses.dataclass
class FileResult:
    """How one file went; `failed` has pairs of test name and reason."""

    file: str
    passed: int = 0
    failed: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    skipped: int = 0
    deviating: list[str] = dataclasses.field(default_factory=list)


def default_gabbits() -> str:
    """The directory of the test files inside the installed package."""
    spec = importlib.util.find_spec("gnocchi")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("gnocchi is not installed in this environment")
    return os.path.join(spec.submodule_search_locations[0], "tests", "functional", "gabbits")


def deviations() -> dict[str, dict[str, str]]:
    """deviations.toml as file -> test -> reason."""
    with open(os.path.join(HERE, "deviations.toml"), "rb") as file:
        entries = tomllib.load(file).get("deviation", [])
    if len(entries) > MOST_DEVIATIONS:
        raise SystemExit(f"deviations.toml lists {len(entries)} deviations; {MOST_DEVIATIONS} are allowed")
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        found.setdefault(entry["file"], {})[entry["test"]] = entry["reason"]
    return found


def flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """All tests of nested suites, in order."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def test_name(test: Any) -> str:
    """The name as the file spells it."""
    data = getattr(test, "test_data", None)
    return str(data["name"]) if data else str(test)


def reason(traceback: str) -> str:
    """The lines of a failure that say what differs, without the frames."""
    lines = [line for line in traceback.strip().splitlines() if line and not line.startswith("  ")]
    text = " ".join(lines[1:] or lines)
    return re.sub(r"\s+", " ", text)[:600] or "?"


class Collected(unittest.TestResult):
    """Remembers failures by the tests' own names. A test that upstream marks xfail and that passes is no failure."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: dict[str, str] = {}
        self.ran: set[str] = set()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.ran.add(test_name(test))

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self.bad[test_name(test)] = reason(self.errors[-1][1])

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self.bad[test_name(test)] = reason(self.failures[-1][1])


def only_this_file(path: str, target: str) -> None:
    """Copies the directory of test files with but one of them: bodies given as files lie beside it."""
    keep = os.path.basename(path)
    shutil.copytree(os.path.dirname(path), target,
                    ignore=lambda _, names: [n for n in names if n.endswith(".yaml") and n != keep])


def run_tests(path: str, port: int) -> Collected:
    """Runs the tests of one file, in order, against the server on `port`."""
    result = Collected()
    with tempfile.TemporaryDirectory(prefix="gabbits-") as scratch:
        directory = os.path.join(scratch, "gabbits")
        only_this_file(path, directory)
        suite = driver.build_tests(directory, unittest.TestLoader(), host="127.0.0.1", port=port, prefix=PREFIX,
                                   fixture_module=fixture_module(), safe_yaml=False, test_loader_name="live")
        suite.run(result)
    return result


def settle(name: str, collected: Collected, expected: dict[str, str]) -> FileResult:
    """Weighs what happened against what was expected to fail."""
    result = FileResult(name, skipped=len(collected.skipped))
    result.failed = [(test, why) for test, why in sorted(collected.bad.items()) if test not in expected]
    result.deviating = sorted(test for test in expected if test in collected.bad)
    result.passed = collected.testsRun - len(collected.bad) - result.skipped
    for test in sorted(set(expected) - set(collected.bad)):
        why = "passes" if test in collected.ran else "does not exist"
        result.failed.append((test, f"listed in deviations.toml but {why}"))
        result.passed -= test in collected.ran
    return result


def run_file(path: str, command: str, keep: bool, expected: dict[str, str]) -> FileResult:
    """One file against one fresh server."""
    name = os.path.basename(path)
    server = live.Server(command)
    try:
        server.start(60)
    except RuntimeError as error:
        server.stop()
        return FileResult(name, failed=[("(server)", str(error))])
    collected = run_tests(path, server.port)
    server.stop()
    result = settle(name, collected, expected)
    if keep and result.failed:
        print(f"  kept {server.root} ({name})")
    else:
        server.remove()
    return result


def report(results: list[FileResult]) -> bool:
    """Prints the totals line; tells whether all is well."""
    passed, failed = sum(r.passed for r in results), sum(len(r.failed) for r in results)
    skipped, deviating = sum(r.skipped for r in results), sum(len(r.deviating) for r in results)
    print(f"{len(results)} files, {skipped} skipped, {deviating} deviations as listed")
    print(f"{passed} passed, {failed} failed")
    return failed == 0


def show(result: FileResult) -> None:
    """One line a file, and its failures."""
    print(f"{result.file:42} {result.passed:4} passed {len(result.failed):4} failed {result.skipped:3} skipped", flush=True)
    for name, why in result.failed:
        print(f"    {name}: {why}", flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gabbits", default=default_gabbits())
    parser.add_argument("--server", default=live.OURS)
    parser.add_argument("--postgres", action="store_true", help="our server with its index in PostgreSQL")
    parser.add_argument("--peer", action="store_true", help="run against real upstream (serve-peer)")
    parser.add_argument("--file", action="append", default=[], help="run only this file (may be given again)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json")
    parser.add_argument("--keep", action="store_true", help="keep the directory and log of a server whose file fails")
    return parser.parse_args()


def main() -> int:
    """Runs the chosen files, several at once."""
    args = arguments()
    names = sorted(n for n in os.listdir(args.gabbits) if n.endswith(".yaml"))
    if args.file:
        names = [n for n in names if n in args.file or n.removesuffix(".yaml") in args.file]
    command = live.PEER if args.peer else live.OURS_ON_POSTGRES if args.postgres else args.server
    expected = {} if args.peer else deviations()
    results: list[FileResult] = []
    with concurrent.futures.ProcessPoolExecutor(args.jobs, max_tasks_per_child=1) as pool:
        pending = [pool.submit(run_file, os.path.join(args.gabbits, n), command, args.keep, expected.get(n, {})) for n in names]
        for future in concurrent.futures.as_completed(pending):
            results.append(future.result())
            show(results[-1])
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump([dataclasses.asdict(r) for r in sorted(results, key=lambda r: r.file)], file, indent=1)
    return 0 if report(results) else 1


if __name__ == "__main__":
    sys.exit(main())
