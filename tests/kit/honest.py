"""A client that counts its events and reports the counts correctly."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.kit.client import SSEClient
from tests.kit.eventsource import DispatchedEvent
from tests.kit.recorder import is_terminal
from tests.kit.reporting import post, said
from tests.kit.response import Response


@dataclass
class Honest:
    """One reader of one stream, from seq ``after`` on."""

    client: SSEClient
    stream: str
    after: int = 0
    received: int = 0
    last_seq: int = 0
    failed: bool = False
    reconnects: list[float] = field(default_factory=list)
    gaps: list[list[int]] = field(default_factory=list)
    reports: int = 0

    def __post_init__(self) -> None:
        self.last_seq = self.after

    def take(self, response: Response) -> None:
        """Count what one connection has brought."""
        for event in response.seen:
            self._take(event)

    def _take(self, event: DispatchedEvent) -> None:
        if event.type == "sse-gap":
            gap = json.loads(event.data)
            self.gaps.append([gap["missed_from"], gap["missed_through"]])
            self.last_seq = gap["missed_through"]
        elif event.type != "sse-end":
            seq = int(event.last_event_id.rpartition(".")[2])
            assert seq == self.last_seq + 1, f"{event} after seq {self.last_seq}"
            self.last_seq = seq
            self.failed |= is_terminal(event)
            self.received += event.type != "sse-error"

    async def report(self, at: str, state: str) -> None:
        """Say how it is."""
        body: dict[str, Any] = {
            "stream": self.stream,
            "received": self.received,
            "first_seq": self.after + 1,
            "last_seq": self.last_seq,
            "gaps": self.gaps,
            "reconnects": self.reconnects,
            "state": state,
            "at": at,
        }
        assert (await post(self.client, said(**body))).status == 204
        self.reports += 1
