"""The wire form of Google's ``streamGenerateContent?alt=sse``.

Events have JSON data only, and lines end with CRLF.
"""

import json

TEXTS = ("In ", "a hundred ", "milliseconds.")
TEXT = "".join(TEXTS)
ROUTE = {"stamp": "never", "heartbeat_s": 0}
"""What these SDKs need: they take every line that is no ``data`` for a part of the answer."""


def chunk(text: str, finish: str | None = None) -> bytes:
    """Return one event; the last of an answer says why it finished."""
    candidate: dict[str, object] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    body = {"candidates": [candidate], "modelVersion": "demo-1", "responseId": "r1"}
    return f"data: {json.dumps(body)}\r\n\r\n".encode()


FIRST, SECOND = chunk(TEXTS[0]), chunk(TEXTS[1])
LAST = chunk(TEXTS[2], "STOP")
ERROR = b'data: {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}\r\n\r\n'
