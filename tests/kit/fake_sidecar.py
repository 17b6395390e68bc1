"""A scripted server that speaks as a sidecar does: it says when a stream is over, and takes reports."""

import json
from typing import Any

from tests.kit.fake_upstream import SSE_HEADERS, FakeUpstream, RecordedRequest, Script, plain

STREAM = "s1" + "A" * 40
SIDECAR_HEADERS = (*SSE_HEADERS, ("SSE-Stream", STREAM))
REPORTS = "/_sse/reports"


def event(seq: int, text: str, stream: str = STREAM) -> bytes:
    """Return a stamped event."""
    return b"data: %b\nid: %b.%d\n\n" % (text.encode(), stream.encode(), seq)


def end(last_seq: int) -> bytes:
    """Return the sidecar's last word on a stream that is complete."""
    return b'event: sse-end\ndata: {"events":%d,"last_seq":%d}\n\n' % (last_seq, last_seq)


class FakeSidecar(FakeUpstream):
    """Answers reports with 204, beside the scripts; ``asked`` holds all other requests."""

    @property
    def asked(self) -> list[RecordedRequest]:
        """The requests that are no reports."""
        return [request for request in self.requests if request.target != REPORTS]

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What was reported."""
        return [json.loads(request.body) for request in self.requests if request.target == REPORTS]

    def _script_for(self, request: RecordedRequest) -> Script:
        return plain(204) if request.target == REPORTS else super()._script_for(request)
