"""The demo's plain JSON routes."""

import asyncio
import json
import secrets
from collections import deque
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sidecar.demo.accounts import Accounts
from sidecar.demo.answers import MODEL_DEFAULT
from sidecar.demo.ledger import GenerationLog

BODY_BYTES_MAX = 1024 * 1024
CONVERSATIONS_MAX = 1_000
TITLE_CHARS_MAX = 200
CLOSED_WAIT_S = 10.0
"""How long ``/api/stats?closed=<id>`` waits for a generation to be closed."""


class PlainRoutes:
    """The endpoints that answer at once, and their state, all in memory."""

    def __init__(self, ledger: GenerationLog) -> None:
        self._ledger = ledger
        self._accounts = Accounts()
        self._conversations: deque[dict[str, Any]] = deque(maxlen=CONVERSATIONS_MAX)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/healthz", self.healthz),
            Route("/api/models", self.models),
            Route("/api/conversations", self.conversations, methods=["GET", "POST"]),
            Route("/login", self.login, methods=["POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/api/me", self.me),
            Route("/api/echo", self.echo, methods=["POST"]),
            Route("/api/stats", self.stats),
        ]

    async def healthz(self, _request: Request) -> Response:
        """Say that the process answers."""
        return JSONResponse({"status": "ok"})

    async def models(self, _request: Request) -> Response:
        """List the one model there is."""
        model = {"id": MODEL_DEFAULT, "object": "model", "owned_by": "demo"}
        return JSONResponse({"object": "list", "data": [model]})

    async def conversations(self, request: Request) -> Response:
        """List the conversations, or start one with a title."""
        if request.method != "POST":
            return JSONResponse({"conversations": list(self._conversations)})
        title = str((await read_json(request)).get("title", "Untitled"))[:TITLE_CHARS_MAX]
        conversation = {"id": f"conv_{secrets.token_hex(8)}", "title": title}
        self._conversations.append(conversation)
        location = f"/api/conversations/{conversation['id']}"
        return JSONResponse(conversation, status_code=201, headers={"Location": location})

    async def login(self, request: Request) -> Response:
        """Exchange user and password for a bearer token."""
        body = await read_json(request)
        token = self._accounts.login(str(body.get("user", "")), str(body.get("password", "")))
        if token is None:
            raise HTTPException(401, "wrong user or password")
        return JSONResponse({"token": token, "token_type": "bearer", "user": body["user"]})

    async def logout(self, request: Request) -> Response:
        """Revoke the bearer token of the request."""
        self._accounts.logout(request.headers.get("authorization", ""))
        return Response(status_code=204)

    async def me(self, request: Request) -> Response:
        """Say whose bearer token this is."""
        user = self._accounts.user(request.headers.get("authorization", ""))
        if user is None:
            raise HTTPException(401, "log in first", headers={"WWW-Authenticate": 'Bearer realm="demo"'})
        return JSONResponse({"user": user})

    async def echo(self, request: Request) -> Response:
        """Send the body back while it is still arriving."""
        media_type = request.headers.get("content-type", "application/octet-stream")
        return Echo(headers={"Content-Type": media_type})

    async def stats(self, request: Request) -> Response:
        """Answer with the record of streams.

        ``?closed=<X-Request-Id>`` first waits until that generation is closed.
        """
        generation = self._ledger.find(request.query_params.get("closed", ""))
        if generation is not None:
            try:
                await asyncio.wait_for(generation.closed.wait(), CLOSED_WAIT_S)
            except TimeoutError:
                return JSONResponse(self._ledger.as_json(), status_code=504)
        return JSONResponse(self._ledger.as_json())


class Echo(Response):
    """The request's body, piece by piece.

    Starlette's StreamingResponse also reads from the request, to notice a disconnect, and loses those pieces.
    """

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Forward each piece when it comes; a client that leaves ends it."""
        headers = [header for header in self.raw_headers if header[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        more_body = True
        while more_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            more_body = message.get("more_body", False)
            body = message.get("body", b"")
            await send({"type": "http.response.body", "body": body, "more_body": more_body})


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request's body; raise 400 or 413."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, f"at most {BODY_BYTES_MAX} bytes of JSON are read")
    return _parsed(bytes(body))


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return value
