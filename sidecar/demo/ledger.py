"""The backend's own record of its streams."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

GENERATIONS_MAX = 1_000
"""Generations remembered; the oldest closed one is forgotten first."""


@dataclass(slots=True)
class DemoGeneration:
    """One streamed answer.

    ``ending`` is live, completed, client_left, killed, or the fault that ended it.
    """

    id: str
    method: str
    path: str
    query: str
    last_event_id: str | None
    reset: Callable[[], None] | None
    started_unix_s: float = field(default_factory=time.time)
    events_sent: int = 0
    bytes_sent: int = 0
    ending: str = "live"
    closed_unix_s: float | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def as_json(self) -> dict[str, Any]:
        """Return the generation as in ``/api/stats``; times are Unix seconds."""
        return {
            "id": self.id,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "last_event_id": self.last_event_id,
            "started_unix_s": self.started_unix_s,
            "events_sent": self.events_sent,
            "bytes_sent": self.bytes_sent,
            "ending": self.ending,
            "client_disconnected": self.ending == "client_left",
            "closed_unix_s": self.closed_unix_s,
        }


class GenerationLog:
    """The last generations of this process, and which of them are live."""

    def __init__(self) -> None:
        self.started_total = 0
        self._generations: OrderedDict[str, DemoGeneration] = OrderedDict()
        self._live: dict[str, DemoGeneration] = {}

    def open(self, generation: DemoGeneration) -> None:
        """Note that a generation starts."""
        self.started_total += 1
        self._generations[generation.id] = self._live[generation.id] = generation
        while len(self._generations) > GENERATIONS_MAX:
            self._generations.popitem(last=False)

    def close(self, generation: DemoGeneration) -> None:
        """Note that the generator of a generation has been closed."""
        self._live.pop(generation.id, None)
        generation.closed_unix_s = time.time()
        generation.closed.set()

    def find(self, generation_id: str) -> DemoGeneration | None:
        """Return a generation that is still remembered."""
        return self._generations.get(generation_id)

    def reset_live(self) -> int:
        """Reset the connection of every live generation; return their number."""
        live = list(self._live.values())
        for generation in live:
            generation.ending = "killed"
            if generation.reset is not None:
                generation.reset()
        return len(live)

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``/api/stats``, the oldest generation first."""
        streams = [generation.as_json() for generation in self._generations.values()]
        return {"started_total": self.started_total, "live": len(self._live), "streams": streams}
