"""`udp://` and `tcp://`, read by Python's msgpack."""

import socket
import struct

import msgpack
from ceilometer.publisher import utils

from harness import outcome
from samples import load
from samples.publisher import Publisher

SECRET = "change this for valid signing"
COUNT = 50


def run(tally: outcome.Outcome, seed: int) -> None:
    """Both, with the signature that is on by default."""
    del seed
    sent = load.messages(range(COUNT))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        publisher = Publisher(f"udp://127.0.0.1:{receiver.getsockname()[1]}")
        tally.equal("udp: taken", publisher.send(sent), "ok")
        got = [msgpack.unpackb(receiver.recv(65536)) for _ in range(COUNT)]
        publisher.finish()
    same(tally, "udp", got, sent)
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(10)
        publisher = Publisher(f"tcp://127.0.0.1:{receiver.getsockname()[1]}")
        tally.equal("tcp: taken", publisher.send(sent), "ok")
        stream, _ = receiver.accept()
        with stream, stream.makefile("rb") as file:
            got = []
            for _ in range(COUNT):
                (length,) = struct.unpack("<Q", file.read(8))
                got.append(msgpack.unpackb(file.read(length)))
        publisher.finish()
    tally.check("tcp: the sender names itself", all(message["publisher_id"] == "this-host" for message in got))
    same(tally, "tcp", got, sent)


def same(tally: outcome.Outcome, name: str, got: list[dict[str, object]], sent: list[dict[str, object]]) -> None:
    """The messages that were given, signed."""
    for message, given in zip(got, sent):
        tally.check(f"{name}: the signature verifies", utils.verify_signature(message, SECRET))
        plain = {key: value for key, value in message.items() if key not in ("message_signature", "publisher_id")}
        given = {key: value for key, value in given.items() if key != "message_signature"}
        tally.equal(f"{name}: the message", plain, given)
