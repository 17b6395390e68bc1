"""Turn the records of the fake upstream and the client into a history."""

import hashlib
import json
import re

from sidecar.verify.history import Attached, Finished, HistoryEvent, Left, Opened, Received, Record, Sent
from sidecar.verify.invariants import Violation, check
from tests.kit.eventsource import DispatchedEvent
from tests.kit.response import Response
from tests.kit.upstream_request import RecordedRequest

EVENT_ID = re.compile(r"[A-Za-z0-9_-]+\.([0-9]+)")
"""``<stream>.<seq>``: the form of an id that the sidecar stamps."""
GAP, END, ERROR = "sse-gap", "sse-end", "sse-error"


def data_hash(event: DispatchedEvent) -> str:
    """Hash what a client is given of an event; ids and line ends are the sidecar's to change."""
    return hashlib.sha256(f"{event.type}\n{event.data}".encode()).hexdigest()[:16]


def is_terminal(event: DispatchedEvent) -> bool:
    """Tell whether an event is a terminal of any family: an error event, or data that is an error object."""
    if event.type in {ERROR, "error"}:
        return True
    try:
        data = json.loads(event.data)
    except ValueError:
        return False
    return isinstance(data, dict) and bool(data.get("error"))


class Recorder:
    """Collects the history of one test. Streams and clients are named by the test."""

    def __init__(self) -> None:
        self.history: list[Record] = []
        self._positions: dict[tuple[str, str], int] = {}

    def upstream(
        self,
        stream: str,
        request: RecordedRequest,
        *,
        principal: str = "",
        whole: bool | None = True,
    ) -> None:
        """Record a request to the backend and its truth; ``whole`` None while the response is going on."""
        self.history.append(Opened(stream, principal))
        content = [event for event in request.truth if not is_terminal(event)]
        self.history += [Sent(stream, seq, data_hash(event)) for seq, event in enumerate(content, 1)]
        if whole is not None:
            self.history.append(Finished(stream, whole))

    def client(
        self,
        client: str,
        stream: str,
        response: Response,
        *,
        principal: str = "",
        after: int | None = None,
        stamped: bool = True,
    ) -> None:
        """Record one response from its start to where it is now; ValueError if it is neither 200 nor 204.

        ``after`` is the position that the request asked for, by default where this client's last response
        left off. Without stamps events are counted from there.
        """
        if response.status not in {200, 204}:
            raise ValueError(f"not a stream: {response}")
        key = (client, stream)
        self._positions[key] = self._positions.get(key, 0) if after is None else after
        self.history.append(Attached(client, stream, self._positions[key], principal))
        for event in response.seen:
            self._record(key, event, stamped=stamped)
        self._record_end(key, response)

    def _record(self, key: tuple[str, str], event: DispatchedEvent, *, stamped: bool) -> None:
        if event.type == END:
            return
        if event.type == GAP:
            gap = json.loads(event.data)
            self._positions[key] = gap["missed_through"]
            self.history.append(HistoryEvent(*key, "gap", gap["missed_from"], gap["missed_through"]))
            return
        self._positions[key] = _seq(event) if stamped else self._positions[key] + 1
        if is_terminal(event):
            self.history.append(HistoryEvent(*key, "terminal"))
        else:
            self.history.append(Received(*key, self._positions[key], data_hash(event)))

    def _record_end(self, key: tuple[str, str], response: Response) -> None:
        if response.status == 204:
            self.history.append(HistoryEvent(*key, "no_content"))
        elif response.ended == "open":
            self.history.append(Left(*key))
        else:
            self.history.append(HistoryEvent(*key, "clean_end" if response.ended == "clean" else "abort"))

    def violations(self) -> list[Violation]:
        """Check the history so far."""
        return check(self.history)

    def assert_sound(self) -> None:
        """Fail the test with one sentence for each violation."""
        violations = self.violations()
        assert not violations, "\n".join(str(violation) for violation in violations)


def _seq(event: DispatchedEvent) -> int:
    match = EVENT_ID.fullmatch(event.last_event_id)
    if match is None:
        raise ValueError(f"not stamped: {event}")
    return int(match[1])
