"""Our side of the comparison: `crates/pipeline/examples/oracle.rs`, asked many questions at once."""

import json
import pathlib
import subprocess
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def ask(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our answers, in order."""
    command = ["cargo", "run", "-q", "--locked", "-p", "nephometer-pipeline", "--example", "oracle"]
    text = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(command, cwd=ROOT, check=True, input=text, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
