"""Signatures by Ceilometer's own code and by ours."""

import random
from typing import Any

from ceilometer.publisher import utils

from harness.outcome import Outcome
from oracle import ask

TEXTS = ["", "a", "bé", "it's", 'say "so"', "both ' and \"", "back\\slash", "tab\tline\nend\r", "\x00\x7f", "日本", "𝄞", "None", "1.0"]


def text(made: random.Random) -> str:
    return made.choice(TEXTS) if made.random() < 0.7 else "".join(chr(made.randrange(1, 0x3FF)) for _ in range(made.randrange(6)))


def value(made: random.Random, depth: int) -> Any:
    kind = made.randrange(9 if depth else 7)
    match kind:
        case 0:
            return None
        case 1:
            return made.random() < 0.5
        case 2:
            return made.choice([0, 1, -1, 2**63 - 1, -(2**63), 2**64 - 1, made.randrange(-1000, 1000)])
        case 3:
            return made.choice([0.0, -0.0, 1.0, 0.1 + 0.2, 1e16, 1e-5, 1e300, 5e-324, made.uniform(-1e6, 1e6), 123456789012345680.0])
        case 4 | 5 | 6:
            return text(made)
        case 7:
            return [value(made, depth - 1) for _ in range(made.randrange(4))]
        case _:
            return {text(made): value(made, depth - 1) for _ in range(made.randrange(4))}


def message(made: random.Random) -> dict[str, Any]:
    made_up = {key: value(made, 3) for key in ("counter_volume", "resource_metadata", "user_id", "monotonic_time")}
    made_up |= {text(made): value(made, 3) for _ in range(made.randrange(4))}
    if made.random() < 0.2:
        made_up["nested"] = {"message_signature": value(made, 2)}
    made_up.pop("message_signature", None)
    keys = list(made_up)
    made.shuffle(keys)
    return {key: made_up[key] for key in keys}


def compare(made: random.Random, cases: int, outcome: Outcome) -> None:
    messages = [message(made) for _ in range(cases)]
    secrets = [made.choice(["secret", "change this for valid signing", "ключ", ""]) for _ in messages]
    questions = []
    for one, secret in zip(messages, secrets, strict=True):
        signed = one | {"message_signature": utils.compute_signature(one, secret)}
        questions.append({"ask": "signature", "secret": secret, "message": signed})
    for at, (question, ours) in enumerate(zip(questions, ask(questions), strict=True)):
        signed, secret = question["message"], question["secret"]
        outcome.equal(f"signature {at}", ours["signature"], signed["message_signature"])
        outcome.check(f"theirs verifies here {at}", ours["verifies"], repr(signed))
        resigned = signed | {"message_signature": ours["signature"]}
        outcome.check(f"ours verifies there {at}", utils.verify_signature(resigned, secret), repr(signed))
