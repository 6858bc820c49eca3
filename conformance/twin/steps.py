"""What a run is made of, and short ways to write it."""

import dataclasses
from typing import Any

from twin.pair import Request


@dataclasses.dataclass
class Keep:
    """Keeps under `name` what each server gives at `keys` of the answer to GET `path`."""

    name: str
    path: str
    keys: tuple[Any, ...]


# Waits until upstream has processed what it accepted.
settle = object()

Step = Request | Keep | object


def get(path: str, params: Any = None, **more: Any) -> Request:
    """GET under /v1."""
    return Request("GET", "/v1" + path, params, **more)


def post(path: str, body: Any = None, params: Any = None, **more: Any) -> Request:
    """POST under /v1."""
    return Request("POST", "/v1" + path, params, body, **more)


def patch(path: str, body: Any = None, **more: Any) -> Request:
    """PATCH under /v1."""
    return Request("PATCH", "/v1" + path, None, body, **more)


def delete(path: str, **more: Any) -> Request:
    """DELETE under /v1."""
    return Request("DELETE", "/v1" + path, **more)


def json_patch(path: str, body: Any) -> Request:
    """PATCH of a resource type."""
    return patch(path, body, headers={"Content-Type": "application/json-patch+json"})
