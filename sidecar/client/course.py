"""The state of a client's stream: reason, attempts and waits."""

from dataclasses import dataclass

from sidecar.client.state import FINAL, Recovery, State
from sidecar.client.wait import WAIT_S_MAX, wait_s

RECONNECTS_MAX = 50
"""Durations of reconnects kept for the report."""


@dataclass(frozen=True, slots=True)
class ConnectionLoss:
    """Why a connection ended or failed to open.

    ``reason`` is for the user, ``detail`` for an engineer.

    ``retry_after_s`` is the wait that the response requested. ``stalled`` is whether the connection was
    silent. ``unsent`` is whether the request was not processed, so that repeating it is not a second one.
    """

    reason: str
    detail: str = ""
    code: str = ""
    retry_after_s: float | None = None
    stalled: bool = False
    unsent: bool = False


class StreamCourse:
    """The state of one stream; times are seconds of a monotonic clock.

    After ``attempts_max`` attempts in a row without a message the stream has failed; 0 is no bound.
    """

    def __init__(self, attempts_max: int) -> None:
        self._attempts_max = attempts_max
        self._lost_at: float | None = None
        self._connections = 0
        self.state = State.CONNECTING
        self.reason = "Connecting."
        self.code = ""
        self.detail = ""
        """What an engineer wants to know beside the reason; may be ""."""
        self.attempt = 0
        self.retry_at: float | None = None
        """When the next connection is made; None: none is waited for."""
        self.retry_s: float | None = None
        """The stream's own ``retry``."""
        self.stalls = 0
        self.reconnects: list[float] = []

    @property
    def over(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL

    def said_retry(self, retry_ms: int) -> None:
        """Take the stream's wish for the next wait."""
        self.retry_s = min(retry_ms / 1000, WAIT_S_MAX)

    def connects(self) -> bool:
        """Note that a connection starts; return whether the state changed."""
        waited = self.retry_at is not None
        if waited:
            self._to(State.RECONNECTING, self.reason, self.detail)
        self._connections += 1
        return waited

    def opened(self) -> None:
        """An answer began that can be read."""
        self._to(State.OPEN, "Connected.")

    def heard(self, now: float, replayed: int | None) -> Recovery | None:
        """Note a byte; return the recovery if the connection was lost before."""
        if self._lost_at is None:
            return None
        recovery = Recovery(self._connections, now - self._lost_at, replayed)
        self._lost_at = None
        if len(self.reconnects) < RECONNECTS_MAX:
            self.reconnects.append(recovery.seconds)
        return recovery

    def message(self) -> None:
        """Note a new message: the sequence of waits begins again."""
        self.attempt = 0

    def lost(self, loss: ConnectionLoss, now: float, jitter: float) -> None:
        """Wait before the next connection, or fail after too many.

        ``jitter`` is a number in [0, 1].
        """
        if self._lost_at is None:
            self._lost_at, self._connections = now, 0
        self.stalls += loss.stalled
        if self._attempts_max and self.attempt >= self._attempts_max:
            several = "1 attempt" if self.attempt == 1 else f"{self.attempt} attempts"
            self.failed(f"{loss.reason} Given up after {several}.", loss.code, loss.detail)
            return
        wait = wait_s(self.attempt, jitter, retry_s=self.retry_s, retry_after_s=loss.retry_after_s)
        self.attempt += 1
        self._to(State.STALLED if loss.stalled else State.RECONNECTING, loss.reason, loss.detail)
        self.retry_at = now + wait

    def completed(self) -> None:
        """The stream is over and whole."""
        self._to(State.COMPLETED, "Complete.")

    def failed(self, reason: str, code: str = "", detail: str = "") -> None:
        """The stream cannot be read to its end."""
        if not self.over:
            self._to(State.FAILED, reason, detail)
            self.code = code

    def closed(self, reason: str = "The program left the stream.") -> None:
        """The program has left."""
        self._to(State.CLOSED, reason)

    def _to(self, state: State, reason: str, detail: str = "") -> None:
        if self.over:
            return
        self.state, self.reason, self.detail, self.retry_at = state, reason, detail, None
