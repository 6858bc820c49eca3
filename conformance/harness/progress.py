"""How far a long proof is."""

import time

BEGAN = time.monotonic()


def say(text: str) -> None:
    """A line with the time that has passed."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)
