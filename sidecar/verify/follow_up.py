"""Requests after the end of an answer: is it final and private."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import aiohttp

from sidecar.sse import event_id
from sidecar.verify.person import Person
from sidecar.verify.results import Breach

ANSWER_S = 10.0
BODY_BYTES_MAX = 64 * 1024
UNKNOWN = "A" * 40
"""A stream that nobody has: of the right form, and signed by nobody."""

STRANGER = "Bearer somebody-else"
NO_CONTENT, NOT_FOUND = 204, 404


class FollowUpAnswer(NamedTuple):
    """Status and body of an answer; status 0: none came."""

    status: int
    body: bytes


async def follow_up(person: Person, url: str, *, scoped: bool) -> AsyncIterator[Breach]:
    """Request the end again, then as another principal.

    ``url`` is reached without a path.

    ``scoped`` is whether a stream belongs to the sender of its Authorization, as by default.
    """
    last = _last(person)
    if last is None:
        return
    login = dict(person.question.headers)
    async with aiohttp.ClientSession(
        trust_env=False, timeout=aiohttp.ClientTimeout(total=ANSWER_S)
    ) as session:
        again = await _ask(session, url, login, str(last))
        if again.status != NO_CONTENT:
            sentence = f"Asked for what comes after the end, the server answered {again.status}, not 204."
            yield Breach(rule="completion", sentence=sentence)
        if not scoped:
            return
        middle = str(event_id.EventId(last.stream, max(1, last.seq // 2)))
        foreign = await _ask(session, url, {"authorization": STRANGER}, middle)
        unknown = await _ask(session, url, {"authorization": STRANGER}, f"{event_id.VERSION}{UNKNOWN}.1")
        if foreign != unknown or foreign.status != NOT_FOUND:
            sentence = (
                f"Somebody else with a reader's position got {foreign.status}, not the 404 of a stranger's."
            )
            yield Breach(rule="principal", sentence=sentence)


def _last(person: Person) -> event_id.EventId | None:
    """Return the position after all events, or None without event ids."""
    for connection in reversed(person.connections):
        for block in reversed(connection.blocks):
            if (known := event_id.parse(block.value("id") or "")) is not None:
                return known
    return None


async def _ask(
    session: aiohttp.ClientSession, url: str, login: dict[str, str], position: str
) -> FollowUpAnswer:
    headers = {**login, "accept": "text/event-stream", "last-event-id": position}
    try:
        async with session.get(url, headers=headers) as answer:
            body = await answer.content.read(BODY_BYTES_MAX) if answer.status != 200 else b""  # noqa: PLR2004
            return FollowUpAnswer(answer.status, body)
    except (aiohttp.ClientError, TimeoutError):
        return FollowUpAnswer(0, b"")
