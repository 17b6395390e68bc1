"""What users do to a stream, and what each of it has to come to; ``BEHAVIOURS`` says how often."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from tests.kit.client import SSEClient
from tests.kit.crowd import PATIENCE_S, Behaviour, UpstreamScript, User
from tests.kit.fake_upstream import Script, UpstreamConnection, plain
from tests.kit.protocols import OPENAI
from tests.kit.recorder import is_terminal
from tests.kit.response import Response

LINGER_S = 12.0
RETAIN_S = 12.0
SLACK_S = 4.0
"""How late the sidecar may be with its timers on a busy machine."""

CANCEL_S = 5.0
CUTS_MAX = 3
CUT_BYTES_MAX = 600
SLOW_RCVBUF_BYTES = 4096
SLOW_READ_EVERY_S = 0.005
UPLOAD_BYTES_MAX = 100_000


async def reads_to_the_end(user: User) -> None:
    talk = user.talk()
    async with user.open(talk) as response:
        await response.read_to_end(PATIENCE_S)
    user.check(talk, response)
    user.note(talk, "completed")


async def is_cut_off_and_comes_back(user: User) -> None:
    talk = user.talk()
    async with AsyncExitStack() as connections:
        responses = [await connections.enter_async_context(user.open(talk))]
        for _ in range(user.chance.randint(1, CUTS_MAX)):
            await _cut_somewhere(user, responses[-1])
            seen = next((each for each in reversed(responses) if each.last_event_id), responses[-1])
            responses.append(await connections.enter_async_context(user.resume(seen)))
        await responses[-1].read_to_end(PATIENCE_S)
    user.check(talk, *responses)
    user.note(talk, "completed")


async def _cut_somewhere(user: User, response: Response) -> None:
    await response.cut_after(
        user.chance.randint(0, CUT_BYTES_MAX),
        PATIENCE_S,
        or_when=lambda so_far: so_far.ended != "open",
        cleanly=user.chance.random() < 0.5,
    )


async def leaves_for_good(user: User) -> None:
    """Leave while the backend is silent; then it says some more, or waits until it is told to stop."""
    talk, seen, more = _interrupted(user)
    async with user.open(talk) as response:
        await response.take(seen, PATIENCE_S)
        await response.connection.hang_up(PATIENCE_S)
    user.check(talk, response, whole=None)
    said_later = user.chance.choice((0, len(talk.blocks) - seen - 1))
    if said_later:
        more.set()
    user.note(talk, "client_left", unread=said_later)


async def dies(user: User) -> None:
    """Nobody can say when RST is noticed, so the backend stays silent: what it says would be delivered."""
    talk, seen, _ = _interrupted(user)
    async with user.open(talk) as response:
        await response.take(seen, PATIENCE_S)
        await response.cut()
    user.check(talk, response, whole=None)
    user.note(talk, "client_abandoned")


def _interrupted(user: User) -> tuple[UpstreamScript, int, asyncio.Event]:
    """Make up an answer with a wait in the middle; return also how many events come before it."""
    talk, more = user.talk(), asyncio.Event()
    seen = user.chance.randint(0, len(talk.blocks) - 1)
    talk.blocks.insert(seen, more)
    return talk, seen, more


async def comes_back_too_late(user: User) -> None:
    talk, seen, _ = _interrupted(user)
    async with user.open(talk) as response:
        await response.take(seen, PATIENCE_S)
        await response.cut()
    user.note(talk, "client_abandoned")
    await asyncio.sleep(LINGER_S + user.chance.choice((0, RETAIN_S)) + SLACK_S)
    if seen:
        async with user.resume(response) as late:
            await late.read_to_end(PATIENCE_S)
        told = [event for event in late.seen if is_terminal(event)]
        assert late.status == 410 or (late.ended, len(told)) == ("aborted", 1)
        user.crowd.too_late += 1


async def cancels(user: User) -> None:
    talk, seen, _ = _interrupted(user)
    async with user.open(talk) as response:
        await response.take(seen, PATIENCE_S)
        target = f"/_sse/streams/{response.header('SSE-Stream')}"
        method, suffix = user.chance.choice((("DELETE", ""), ("POST", "/cancel")))
        done = await user.client.fetch(method, target + suffix, user.login, within_s=PATIENCE_S)
        assert done.status == 204
        await talk.requests[0].closed_by_peer(CANCEL_S)
        await response.read_to_end(PATIENCE_S)
    user.check(talk, response, whole=False)
    user.note(talk, "client_cancelled")


async def sends_its_request_again(user: User) -> None:
    """A client that got no whole answer repeats its POST under the same key."""
    talk, key = user.talk(), ("Idempotency-Key", f"{user.number}-{user.chance.random()}")
    target = user.crowd.expect(talk, "/v1/chat")
    asking = [user.client.open("POST", target, [*user.login, key], b"{}") for _ in range(2)]
    at_once = user.chance.random() < 0.5
    async with AsyncExitStack() as connections:
        if at_once:
            opening = (connections.enter_async_context(each) for each in asking)
            first, second = await asyncio.gather(*opening)
            await first.read_to_end(PATIENCE_S)
            user.check(talk, first)
        else:
            first = await connections.enter_async_context(asking[0])
            await _cut_somewhere(user, first)
            second = await connections.enter_async_context(asking[1])
        await second.read_to_end(PATIENCE_S)
    user.check(talk, second)
    user.note(talk, "completed")


async def reads_on_two_devices(user: User) -> None:
    talk = user.talk()
    async with user.open(talk) as response:
        join = user.client.open("GET", f"/_sse/streams/{response.header('SSE-Stream')}", user.login)
        async with join as other:
            await asyncio.gather(response.read_to_end(PATIENCE_S), other.read_to_end(PATIENCE_S))
    user.check(talk, response)
    user.check(talk, other)
    user.note(talk, "completed")


async def reads_slowly(user: User) -> None:
    talk = user.talk()
    talk.blocks = [b"data: %s\n\n" % (b"x" * user.chance.randint(1, 8000)) for _ in talk.blocks]
    slow = SSEClient(user.client.host, user.client.port, rcvbuf_bytes=SLOW_RCVBUF_BYTES)
    target = user.crowd.expect(talk, "/v1/chat")
    async with slow.open("POST", target, user.login, b"{}") as response:
        async for _ in response.events(PATIENCE_S):
            await asyncio.sleep(SLOW_READ_EVERY_S)
    user.check(talk, response)
    user.note(talk, "completed")


async def hangs_up_at_the_terminal(user: User) -> None:
    talk, over = user.talk(), asyncio.Event()
    talk.blocks = [OPENAI.first, OPENAI.first, OPENAI.terminal, over]
    async with user.open(talk) as response:
        await response.take(3, PATIENCE_S)
        await response.connection.hang_up(PATIENCE_S)
    over.set()
    user.check(talk, response, whole=None)
    user.note(talk, "completed")


async def is_told_of_a_failure(user: User) -> None:
    talk = user.talk()
    outcome, silent, read = "upstream_truncated", 0, asyncio.Event()
    match user.chance.choice(("reset", "fin", "bad chunk", "error event", "no terminal", "empty")):
        case "reset":
            talk.then = "reset"
        case "fin":
            talk.then = "fin"
            talk.blocks.append(b"data: half an eve")
        case "bad chunk":
            talk.then, outcome = "bad chunk", "upstream_error"
            talk.blocks.append(
                read
            )  # in one piece with the head it would be an invalid answer from the start
        case "error event":
            talk.blocks.append(b"event: error\ndata: it broke\n\n")
            outcome = "upstream_error"
        case "no terminal":
            talk.blocks, silent = [OPENAI.first] * len(talk.blocks), 1
        case _:
            talk.blocks, silent = [], 1
    async with user.open(talk) as response:
        if read in talk.blocks:
            await response.take(len(talk.blocks) - 1, PATIENCE_S)
            read.set()
        await response.read_to_end(PATIENCE_S)
    async with user.resume(response) as again:
        assert again.status == 204
    user.check(talk, response, again, whole=False)
    user.note(talk, outcome)
    user.crowd.silent += silent


async def asks_what_is_no_stream(user: User) -> None:
    said = user.chance.randbytes(user.chance.randint(0, UPLOAD_BYTES_MAX))
    target = user.crowd.expect(_echo, "/v1/models")
    answer = await user.client.fetch("POST", target, user.login, said, within_s=PATIENCE_S)
    assert (answer.status, answer.raw == said, answer.ended) == (200, True, "clean")


async def _echo(connection: UpstreamConnection) -> None:
    said = await connection.body(PATIENCE_S)
    await plain(200, body=said)(connection)


async def meets_a_backend_that_breaks_off(user: User) -> None:
    async def script(connection: UpstreamConnection) -> None:
        await connection.reset()

    answer = await _fetch(user, script)
    assert (answer.status, answer.header("Content-Type")) == (502, "application/problem+json")


async def _fetch(user: User, script: Script) -> Response:
    target = user.crowd.expect(script, "/v1/chat")
    return await user.client.fetch("POST", target, user.login, b"{}", within_s=PATIENCE_S)


async def gives_up_before_the_answer_begins(user: User) -> None:
    asked = asyncio.Event()

    async def script(connection: UpstreamConnection) -> None:
        asked.set()
        await connection.stall(PATIENCE_S)

    async with user.client.connect() as connection:
        target = user.crowd.expect(script, "/v1/chat")
        await connection.send(user.client.request_bytes("POST", target, user.login, b"{}"), PATIENCE_S)
        await asked.wait()
        await user.chance.choice((connection.cut, connection.leave))()


BEHAVIOURS: Mapping[Behaviour, int] = {
    reads_to_the_end: 20,
    is_cut_off_and_comes_back: 20,
    leaves_for_good: 6,
    dies: 6,
    comes_back_too_late: 2,
    cancels: 8,
    sends_its_request_again: 8,
    reads_on_two_devices: 4,
    reads_slowly: 4,
    hangs_up_at_the_terminal: 4,
    is_told_of_a_failure: 12,
    asks_what_is_no_stream: 10,
    meets_a_backend_that_breaks_off: 2,
    gives_up_before_the_answer_begins: 4,
}
