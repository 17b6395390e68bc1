"""What an honest client would report, for tests that change one thing of it."""

import json
from typing import Any

from tests.kit.client import SSEClient
from tests.kit.response import Response

STREAM = "s1" + "A" * 40
"""The form of a token, and nobody's."""

PLAIN = ("Content-Type", "text/plain;charset=UTF-8")

HONEST: dict[str, Any] = {
    "v": 1,
    "stream": STREAM,
    "received": 5,
    "first_seq": 1,
    "last_seq": 5,
    "gaps": [],
    "duplicates": 0,
    "reconnects": [],
    "stalls": 0,
    "state": "completed",
    "told": True,
    "at": "end",
}


def said(**changed: Any) -> bytes:
    """Return the JSON of a report of five messages that all came, but for what is changed."""
    return json.dumps(HONEST | changed).encode()


async def post(client: SSEClient, body: bytes, *fields: tuple[str, str]) -> Response:
    """Send a report as a beacon does."""
    return await client.fetch("POST", "/_sse/reports", [PLAIN, *fields], body)
