"""What Schemathesis has to be told: bodies of these media types are bytes as they are."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-protobuf", "application/x-snappy")
def as_bytes(_context: Any, value: Any) -> bytes:
    """The generated value as bytes."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
