"""The demo backend: an LLM chat API in five protocols, with faults.

Run it: ``python -m sidecar.demo.webapi --port 8000``. Embed it: ``serve`` or ``running``.
Every streaming route takes its pace and its fault from the query: ``n``, ``interval_ms``, ``seed``,
``fault``, ``at``, ``stall_s``, ``status`` (see :mod:`sidecar.demo.faults`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sidecar.demo.answers import (
    FAILURE,
    MODEL_DEFAULT,
    AiSdk,
    Anthropic,
    ChatAnswer,
    DemoAnswer,
    OpenAIChat,
    compact,
)
from sidecar.demo.chat_page import ChatPage, Setup
from sidecar.demo.faults import INTERRUPTIONS, AnswerScript, BadQuery, DemoFault
from sidecar.demo.feed import Feed
from sidecar.demo.ledger import GenerationLog
from sidecar.demo.paced import Blocks, PacedResponse, events_of, halves_of
from sidecar.demo.plain import PlainRoutes, read_json
from sidecar.demo.responses import OpenAIResponse
from sidecar.demo.server import die_soon, listen, run, running, serve, url_of
from sidecar.demo.words import tokens
from sidecar.faultnet.same_site import is_foreign

__all__ = ["WebApi", "create_app", "main", "running", "serve"]

STREAM_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
MODEL_CHARS_MAX = 100
TEXT_CHARS_MAX = 1_000


class WebApi:
    """The streaming endpoints and the switch that kills them."""

    def __init__(self, ledger: GenerationLog, on_kill: Callable[[], None] | None, setup: Setup) -> None:
        self._ledger = ledger
        self._on_kill = on_kill
        self._setup = setup
        self._feed = Feed()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/chat", self.chat),
            Route("/v1/chat/completions", self.openai_chat, methods=["POST"]),
            Route("/v1/responses", self.openai_responses, methods=["POST"]),
            Route("/v1/messages", self.anthropic, methods=["POST"]),
            Route("/api/ai-sdk", self.ai_sdk, methods=["POST"]),
            Route("/notifications", self.notifications, methods=["GET", "POST"]),
            Route("/demo/kill", self.kill, methods=["POST"]),
        ]

    async def chat(self, request: Request) -> Response:
        """Answer ``prompt`` in the demo's own form."""
        response = self._stream(request, ChatAnswer(prompt=request.query_params.get("prompt", "")))
        response.headers.update(self._setup.cors(request))
        return response

    async def openai_chat(self, request: Request) -> Response:
        """Answer as OpenAI's Chat Completions."""
        body = await _question(request, "messages")
        options = body.get("stream_options")
        usage = isinstance(options, dict) and options.get("include_usage") is True
        return self._answer(request, body, OpenAIChat(_model(body), str(body["messages"]), usage=usage))

    async def openai_responses(self, request: Request) -> Response:
        """Answer as OpenAI's Responses."""
        body = await _question(request, "input")
        return self._answer(request, body, OpenAIResponse(_model(body), str(body["input"])))

    async def anthropic(self, request: Request) -> Response:
        """Answer as Anthropic's Messages."""
        body = await _question(request, "messages")
        return self._answer(request, body, Anthropic(_model(body), str(body["messages"])))

    async def ai_sdk(self, request: Request) -> Response:
        """Answer as the AI SDK's UI message stream; it is always a stream."""
        body = await _question(request, "messages")
        return self._stream(request, AiSdk(_model(body), str(body["messages"])))

    async def notifications(self, request: Request) -> Response:
        """Follow the feed after ``Last-Event-ID``; POST publishes a text."""
        if request.method == "POST":
            text = str((await read_json(request)).get("text", ""))[:TEXT_CHARS_MAX]
            return JSONResponse({"id": self._feed.publish(text).id}, status_code=201)
        course = _course(request, endless=True)
        position = self._feed.position(request.headers.get("last-event-id", ""))
        return self._paced(self._feed.read(position, course), course, ChatAnswer())

    async def kill(self, request: Request) -> Response:
        """Reset every live stream; under a supervisor, end the process."""
        if is_foreign(request.headers):
            raise HTTPException(403, "this came from another site's page")
        return JSONResponse({"exits": self._on_kill is not None}, 202, background=BackgroundTask(self._die))

    async def _die(self) -> None:
        self._ledger.reset_live()
        if self._on_kill is not None:
            self._on_kill()

    def _answer(self, request: Request, body: dict[str, Any], answer: DemoAnswer) -> Response:
        if body.get("stream") is True:
            return self._stream(request, answer)
        return self._whole(_course(request), answer)

    def _stream(self, request: Request, answer: DemoAnswer) -> Response:
        course = _course(request)
        return self._paced(events_of(answer, course), course, answer)

    def _paced(self, blocks: Blocks, course: AnswerScript, answer: DemoAnswer) -> Response:
        if course.fault is DemoFault.STATUS:
            return _failure(course.status)
        if course.fault is DemoFault.WRONG_TYPE:
            return HTMLResponse("<!doctype html><title>Sorry</title><p>We will be back soon.\n")
        encoding = {"Content-Encoding": "gzip"} if course.fault is DemoFault.GZIP else {}
        headers = {**STREAM_HEADERS, **answer.headers, **encoding}
        return PacedResponse(blocks, course, self._ledger, headers=headers, error=answer.error)

    def _whole(self, course: AnswerScript, answer: DemoAnswer) -> Response:
        if course.fault in {DemoFault.STATUS, DemoFault.ERROR}:
            return _failure(course.status)
        for text in tokens(course.seed, course.n or 0):
            answer.write(text)
        body = compact(answer.whole()).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        course = replace(course, at=1, fault=course.fault if course.fault in INTERRUPTIONS else None)
        return PacedResponse(halves_of(body, course), course, self._ledger, headers=headers)


def create_app(
    *,
    ledger: GenerationLog | None = None,
    on_kill: Callable[[], None] | None = None,
    setup: Setup = Setup(),  # noqa: B008 - it is frozen
) -> Starlette:
    """Return the ASGI application.

    ``on_kill`` ends the process after ``POST /demo/kill``; without it only the live streams are reset. The
    faults ``reset`` and ``truncate`` need the server of :mod:`sidecar.demo.server`.
    """
    ledger = ledger or GenerationLog()
    api = WebApi(ledger, on_kill, setup)
    routes = [*ChatPage(setup).routes(), *api.routes(), *PlainRoutes(ledger).routes()]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refusal})  # type: ignore[dict-item]
    app.state.ledger = ledger
    return app


def _course(request: Request, *, endless: bool = False) -> AnswerScript:
    try:
        return AnswerScript.from_query(request.query_params, endless=endless)
    except BadQuery as error:
        raise HTTPException(400, str(error)) from error


async def _question(request: Request, field: str) -> dict[str, Any]:
    body = await read_json(request)
    if not body.get(field):
        raise HTTPException(400, f"{field!r} is missing or empty")
    return body


def _model(body: dict[str, Any]) -> str:
    return str(body.get("model") or MODEL_DEFAULT)[:MODEL_CHARS_MAX]


def _failure(status: int) -> Response:
    error = {"message": FAILURE, "type": "server_error", "param": None, "code": "model_failed"}
    return JSONResponse({"error": error}, status)


async def _refusal(_request: Request, error: HTTPException) -> Response:
    problem = {"message": error.detail, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": problem}, error.status_code, headers=error.headers)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65_535), help="0: any free.")
@click.option("--supervised", is_flag=True, help="POST /demo/kill ends the process with exit code 3.")
@click.option("--setup", default="{}", hidden=True, help="What `sse-sidecar demo` tells the page.")
def main(host: str, port: int, setup: str, *, supervised: bool) -> None:
    """Run the demo backend until it is interrupted."""
    try:
        listener = listen(host, port)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error
    click.echo(f"demo backend on {url_of(listener)}")
    app = create_app(on_kill=die_soon if supervised else None, setup=Setup.from_json(setup))
    run(app, listener)


if __name__ == "__main__":
    main()
