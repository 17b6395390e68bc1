"""JSON objects in events: read and write them."""

import json
from collections.abc import Set as AbstractSet

from sidecar.sse.framing import data_of


def object_of(event: bytes) -> dict[str, object]:
    """Return the JSON object in an event's data, or an empty one."""
    try:
        value = json.loads(data_of(event))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def text_field(message: dict[str, object], name: str) -> str:
    """Return the text in a field, or an empty one if it holds none."""
    found = message.get(name)
    return found if isinstance(found, str) else ""


def any_has(items: object, names: AbstractSet[str]) -> bool:
    """Return whether an object of a list has one of these fields."""
    return isinstance(items, list) and any(
        isinstance(item, dict) and not names.isdisjoint(item) for item in items
    )


def any_value(items: object, name: str) -> bool:
    """Return whether an object of a list has a true value in this field."""
    return isinstance(items, list) and any(isinstance(item, dict) and item.get(name) for item in items)


def event_of(event_type: bytes | None, message: dict[str, object]) -> bytes:
    """Return an event without its blank line; ``event_type`` is optional."""
    line = b"data: " + json.dumps(message, separators=(",", ":")).encode() + b"\n"
    return b"event: " + event_type + b"\n" + line if event_type else line
