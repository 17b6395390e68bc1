"""Are a backend's own event ids continuous? By id only: token streams repeat content legitimately."""

from sidecar.sse.framing import data_of, own_id, type_of

SEEN_IDS_MAX = 1024
"""How many of the latest ids of a stream are remembered to recognise one that comes again."""

NUMBER_DIGITS_MAX = 18
"""An id of more digits is no number that somebody counts with."""


class UpstreamIds:
    """Follows the ids that a backend gives its events on one stream."""

    __slots__ = ("_resumed_from", "_seen", "_steps_by_one", "last_id", "resuming", "reused")

    def __init__(self) -> None:
        self.last_id: bytes | None = None
        self.reused = False
        """The backend gave one id to different events: its ids prove nothing."""
        self._seen: dict[bytes, int] = {}
        self._steps_by_one = True
        self._resumed_from: bytes | None = None
        self.resuming = False
        """The upstream connection is a new one and nothing new has come over it yet."""

    def is_duplicate(self, event: bytes) -> bool:
        """Take note of an event; tell whether the very same one came before under the same id.

        Lines around it are not looked at: a comment that a backend sends first is no difference.
        """
        found = own_id(event)
        if not found:
            if found is not None:
                self.last_id = None  # an empty id takes the last one back
            return False
        if self.reused:
            self.last_id = found
            return False
        before = self._seen.get(found)
        digest = hash((type_of(event), data_of(event)))
        if before is not None:
            self.reused = before != digest
            return not self.reused
        self._note(found, digest)
        return False

    def resumed(self) -> None:
        """Note that the upstream connection is a new one, which was asked to go on after ``last_id``."""
        self._resumed_from = self.last_id
        self.resuming = True

    def missing_before(self, event: bytes) -> int | None:
        """After ``resumed``, for the first new event: how many the backend skipped; None: nobody can know.

        Known only if the ids are integers that went up by one all the way, and still go up.
        """
        before, self._resumed_from, self.resuming = self._resumed_from, None, False
        step = _step(before, own_id(event))
        return step - 1 if self._steps_by_one and step is not None and step > 0 else None

    def _note(self, found: bytes, digest: int) -> None:
        if self.last_id is not None and not self.resuming:
            self._steps_by_one &= _step(self.last_id, found) == 1
        self.last_id = found
        self._seen[found] = digest
        if len(self._seen) > SEEN_IDS_MAX:
            del self._seen[next(iter(self._seen))]


def _step(before: bytes | None, found: bytes | None) -> int | None:
    """Return how far two ids are apart; None: they are not both numbers."""
    if before is None or found is None or not (before.isdigit() and found.isdigit()):
        return None
    return int(found) - int(before) if max(len(before), len(found)) <= NUMBER_DIGITS_MAX else None
