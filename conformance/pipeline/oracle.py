"""Our side of the comparison: `crates/pipeline/examples/pipeline_oracle.rs`, or another example, asked many questions at once."""

import json
import os
import pathlib
import subprocess
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def ask(questions: list[dict[str, Any]], example: str = "pipeline_oracle") -> list[dict[str, Any]]:
    """Our answers, in order."""
    # Built with the features that the other tests' builds have, so that nothing is compiled twice.
    subprocess.run(["cargo", "build", "-q", "--locked", "--workspace", "--example", example], cwd=ROOT, check=True)
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "examples" / example
    text = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([program], check=True, input=text, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
