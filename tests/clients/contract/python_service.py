"""The Python client behind the service protocol of LaunchDarkly's SSE contract tests; prints its URL.

https://github.com/launchdarkly/sse-contract-tests/blob/main/docs/service_spec.md
"""

import asyncio
import itertools
from typing import Any

from aiohttp import ClientSession, web

from sidecar.client import EventSource, State, StreamFailed

CAPABILITIES = ["bom", "headers", "last-event-id", "post", "read-timeout", "report"]
CAPABILITIES += ["server-directed-shutdown-request"]


class Callbacks:
    """Tells the harness what happens, in order."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self._url, self._session = url, session
        self._numbers = itertools.count(1)
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def say(self, kind: str, **what: object) -> None:
        self._said.put_nowait({"kind": kind, **what})

    async def send(self) -> None:
        while True:
            async with self._session.post(f"{self._url}/{next(self._numbers)}", json=await self._said.get()):
                self._said.task_done()

    async def drain(self) -> None:
        await self._said.join()


async def follow(asked: dict[str, Any]) -> None:
    def tell(state: State, reason: str) -> None:
        if state in {State.STALLED, State.RECONNECTING} and events.retry_at is not None:
            callbacks.say("error", error=reason, comment=reason)

    async with ClientSession() as session:
        callbacks = Callbacks(asked["callbackUrl"], session)
        sending = asyncio.create_task(callbacks.send())
        events = EventSource(
            asked["streamUrl"],
            method=asked.get("method", "GET"),
            headers=asked.get("headers") or {},
            body=asked.get("body", ""),
            position=asked.get("lastEventId", ""),
            stall_s=(asked.get("readTimeoutMs") or 30_000) / 1000,
            on_end="reconnect",
            control="",
            redirects=True,
            on_state=tell,
        )
        try:
            async with events:
                async for event in events:
                    callbacks.say("event", event={"type": event.type, "data": event.data, "id": event.id})
        except StreamFailed as failed:
            callbacks.say("error", error=str(failed), comment=str(failed))
        await callbacks.drain()
        sending.cancel()


def service(stop: asyncio.Event) -> web.Application:
    streams: list[asyncio.Task[None]] = []

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"name": "sidecar.client", "capabilities": CAPABILITIES})

    async def create(request: web.Request) -> web.Response:
        asked = await request.json()
        streams.append(asyncio.create_task(follow(asked)))
        location = request.url.with_path(f"/{len(streams) - 1}")
        return web.Response(status=201, headers={"Location": str(location)})

    async def close(request: web.Request) -> web.Response:
        streams[int(request.match_info["number"])].cancel()
        return web.Response(status=204)

    async def quit_service(_: web.Request) -> web.Response:
        stop.set()
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.get("/", status), web.post("/", create), web.delete("/", quit_service)])
    app.add_routes([web.delete(r"/{number:\d+}", close)])
    return app


async def main() -> None:
    stop = asyncio.Event()
    runner = web.AppRunner(service(stop))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)  # noqa: T201 - how a test finds it
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
