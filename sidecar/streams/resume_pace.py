"""The wait of clients that resume one stream again and again."""

QUICK_RESUME_S = 5.0
"""A resume this soon after the one before makes the next wait longer."""

RETRY_MS = (0, 1000, 2000, 4000, 5000)
RETRY_JITTER_RATIO = 0.1


class ResumePace:
    """Counts the quick resumes of one stream."""

    __slots__ = ("_quick", "_resumed_at", "set_by_upstream")

    def __init__(self) -> None:
        self._quick = 0
        self._resumed_at = float("-inf")
        self.set_by_upstream = False
        """The backend has sent a ``retry`` of its own, which stays."""

    def retry_ms(self, now: float, chance: float) -> int:
        """Count a resume; return the ``retry`` to send in ms, or 0 for none.

        ``chance`` in 0 to 1 spreads the clients.
        """
        self._quick = self._quick + 1 if now - self._resumed_at < QUICK_RESUME_S else 0
        self._resumed_at = now
        if self.set_by_upstream:
            return 0
        base_ms = RETRY_MS[min(self._quick, len(RETRY_MS) - 1)]
        return int(base_ms * (1 + RETRY_JITTER_RATIO * chance))
