"""Flood control: the lines per second of each event."""

from collections import deque

FLOOD_LINES_PER_S_MAX = 100
FLOOD_EVENTS_MAX = 1024
"""Event names with an allowance of their own. The rest share one, which bounds the memory."""

OTHER = "(other)"
WINDOW_S = 1.0


class LogRateLimit:
    """Admit at most ``lines_max`` lines per event name within any one second.

    ``now`` is monotonic time in seconds and never goes back.
    """

    def __init__(self, lines_max: int = FLOOD_LINES_PER_S_MAX, events_max: int = FLOOD_EVENTS_MAX) -> None:
        self._lines_max = lines_max
        self._events_max = events_max
        self._admitted: dict[str, deque[float]] = {}
        self._held: dict[str, int] = {}

    def admit(self, event: str, now: float) -> bool:
        """Return whether a line may be written, else count it as held back."""
        key = event if event in self._admitted or len(self._admitted) < self._events_max else OTHER
        recent = self._admitted.setdefault(key, deque(maxlen=self._lines_max))
        if len(recent) < self._lines_max or now - recent[0] >= WINDOW_S:
            recent.append(now)
            return True
        self._held[key] = self._held.get(key, 0) + 1
        return False

    def take(self, event: str) -> int:
        """Return and reset the number of held back lines of one event."""
        return self._held.pop(event, 0)

    def take_ended(self, now: float) -> dict[str, int]:
        """Return and reset the held back lines of events that may write again.

        Quiet events lose their entry.
        """
        ended = {event: count for event, count in self._held.items() if self._admitted_again(event, now)}
        for event in ended:
            del self._held[event]
        for event in [name for name, recent in self._admitted.items() if now - recent[-1] >= WINDOW_S]:
            if event not in self._held:
                del self._admitted[event]
        return ended

    def _admitted_again(self, event: str, now: float) -> bool:
        return now - self._admitted[event][0] >= WINDOW_S
