"""The demo backend on a real socket, and how the tests of it talk to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from sidecar.demo.webapi import create_app, running
from tests.kit.client import Response, SSEClient

QUESTIONS = {
    "/api/chat": b"",
    "/v1/chat/completions": b'{"messages": [{"role": "user", "content": "Hi"}], "stream": true}',
    "/v1/responses": b'{"input": "Hi", "stream": true}',
    "/v1/messages": b'{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "stream": true}',
    "/api/ai-sdk": b'{"messages": [{"role": "user", "parts": []}]}',
}


@asynccontextmanager
async def demo_backend() -> AsyncIterator[SSEClient]:
    """Run the backend for the length of a block and give a client of it."""
    async with running(create_app()) as url:
        address = urlsplit(url)
        yield SSEClient(str(address.hostname), int(address.port or 0))


async def ask(client: SSEClient, path: str, query: str) -> Response:
    """Ask a streaming route, without waiting between tokens, and read the answer to its end."""
    question = QUESTIONS[path]
    target = f"{path}?interval_ms=0&{query}"
    return await client.fetch("POST" if question else "GET", target, body=question)


async def record_of(client: SSEClient, response: Response) -> dict[str, Any]:
    """Wait until the backend has closed a generation, and return what it says about it."""
    request_id = response.header("x-request-id")
    stats = (await client.fetch("GET", f"/api/stats?closed={request_id}")).json()
    record: dict[str, Any] = next(stream for stream in stats["streams"] if stream["id"] == request_id)
    return record
