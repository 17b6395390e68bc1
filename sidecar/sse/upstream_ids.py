"""Check the continuity of a backend's event ids."""

from sidecar.sse.framing import data_of, own_id, type_of

SEEN_IDS_MAX = 1024
"""The latest ids of a stream that are kept to detect a duplicate."""

NUMBER_DIGITS_MAX = 18
"""An id of more digits is not a counter."""


class UpstreamIds:
    """Follows the backend's event ids on one stream.

    It compares ids only, since token streams repeat content legitimately.
    """

    __slots__ = ("_resumed_from", "_seen", "_steps_by_one", "last_id", "resuming", "reused")

    def __init__(self) -> None:
        self.last_id: bytes | None = None
        self.reused = False
        """The backend gave one id to different events, so its ids prove nothing."""
        self._seen: dict[bytes, int] = {}
        self._steps_by_one = True
        self._resumed_from: bytes | None = None
        self.resuming = False
        """The upstream connection is new and has sent no new event yet."""

    def is_duplicate(self, event: bytes) -> bool:
        """Note an event; return whether it came before with the same id.

        Only its type and data count. A comment before it makes no difference.
        """
        found = own_id(event)
        if not found:
            if found is not None:
                self.last_id = None  # an empty id resets the last one
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
        """Note that a new upstream connection resumes after ``last_id``."""
        self._resumed_from = self.last_id
        self.resuming = True

    def missing_before(self, event: bytes) -> int | None:
        """Return how many events the backend skipped, or None if unknown.

        Call it for the first new event after ``resumed``. The number is known only if all ids are integers
        that increase by one.
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
    """Return the distance of two ids, or None if one is not a number."""
    if before is None or found is None or not (before.isdigit() and found.isdigit()):
        return None
    return int(found) - int(before) if max(len(before), len(found)) <= NUMBER_DIGITS_MAX else None
