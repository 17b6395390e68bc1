"""Read ``tests/kit/cases/wire.json``: wire bytes, and the events that a client makes of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.kit.eventsource import DispatchedEvent

FILE = Path(__file__).parent / "cases" / "wire.json"


class WireCase(NamedTuple):
    """One case; ``retry_ms`` None: the stream says none."""

    name: str
    wire: bytes
    events: list[DispatchedEvent]
    last_event_id: str
    retry_ms: int | None

    def cuts(self) -> Iterator[list[bytes]]:
        """Yield the wire whole, byte by byte, and in every split in two."""
        wire = self.wire
        yield [wire]
        yield [wire[at : at + 1] for at in range(len(wire))]
        yield from ([wire[:at], wire[at:]] for at in range(1, len(wire)))


def _read() -> Iterator[WireCase]:
    for case in json.loads(FILE.read_text())["cases"]:
        wire = bytes.fromhex(case["wire_hex"]) if "wire_hex" in case else case["wire"].encode()
        events = [DispatchedEvent(event["type"], event["data"], event["id"]) for event in case["events"]]
        yield WireCase(case["name"], wire, events, case["last_event_id"], case["retry_ms"])


CASES = list(_read())
