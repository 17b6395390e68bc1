"""Nobody reads another's stream, and nobody learns from a refusal whether there is one."""

from typing import Any

import pytest

from tests.kit.fake_upstream import FakeUpstream, plain, sse
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar, running

SECRET = "a secret that signs the ids of these tests"
OLD_SECRET = "the secret that was used before the one above"
ALICE = ("Authorization", "Bearer alice")
BOB = ("Authorization", "Bearer bob")
TWO = (b"data: 1\n\n", b"data: 2\n\n")
STREAM = ("Accept", "text/event-stream")


async def read_by(sc: RunningSidecar, up: FakeUpstream, *headers: tuple[str, str]) -> str:
    """Let somebody read a whole answer; return the name of its stream."""
    up.script(sse(*TWO))
    async with sc.client.open("POST", "/v1/chat", headers, b"{}") as response:
        await response.read_to_end()
    return response.header("SSE-Stream") or ""


async def resume(
    sc: RunningSidecar, position: str, *headers: tuple[str, str], target: str = "/v1/chat"
) -> Response:
    return await sc.client.fetch("GET", target, [STREAM, ("Last-Event-ID", position), *headers])


def forged(stream: str) -> str:
    last = "A" if stream[-1] != "A" else "B"
    return stream[:-1] + last


async def test_forged_foreign_retired_and_unknown_ids_get_the_same_404_to_the_byte() -> None:
    async with FakeUpstream() as up, running(up.url, secret=OLD_SECRET) as before:
        retired = await read_by(before, up, ALICE)
    async with relayed(secret=SECRET) as (up, sc):
        stream = await read_by(sc, up, ALICE)
        refused = [
            await resume(sc, f"{stream}.1", BOB),
            await resume(sc, f"{stream}.1"),
            await resume(sc, f"{forged(stream)}.1", ALICE),
            await resume(sc, f"{retired}.1", ALICE),
            await resume(sc, f"s1{'A' * 40}.1", ALICE),
            await resume(sc, f"{stream}.1", BOB, target=f"/_sse/streams/{stream}"),
        ]
        assert {(r.head.raw, r.raw) for r in refused} == {(refused[0].head.raw, refused[0].raw)}
        assert (refused[0].status, refused[0].json()["code"]) == (404, "err-sidecar-stream-not-found")
        assert len(up.requests) == 1
        assert sc.metric("sse_resumes_total", result="refused") == 6
        assert (await resume(sc, f"{stream}.1", ALICE)).seen[0].data == "2"


async def test_an_id_of_the_retiring_key_is_accepted_and_expired_after_a_restart() -> None:
    async with FakeUpstream() as up, running(up.url, secret=OLD_SECRET) as before:
        old = await read_by(before, up, ALICE)
    async with relayed(secret=SECRET, retiring_secret=OLD_SECRET) as (up, sc):
        assert (await resume(sc, f"{old}.1", ALICE)).status == 410
        assert (await resume(sc, f"{old}.1", BOB)).status == 404


PRINCIPALS: dict[str, tuple[dict[str, Any], list[tuple[str, str]], list[tuple[str, str]], str]] = {
    "cookie": (
        {"principal": ["cookie:sid"]},
        [("Cookie", "theme=dark; sid=1")],
        [("Cookie", "sid=2; theme=dark")],
        "last-event-id, cookie",
    ),
    "trusted header": (
        {"principal": ["header:x-user"]},
        [("X-User", "alice")],
        [("X-User", "bob")],
        "last-event-id, x-user",
    ),
    "two inputs": (
        {"principal": ["header:authorization", "header:x-tenant"]},
        [ALICE, ("X-Tenant", "a")],
        [ALICE, ("X-Tenant", "b")],
        "last-event-id, authorization, x-tenant",
    ),
}


@pytest.mark.parametrize(("settings", "mine", "other", "vary"), PRINCIPALS.values(), ids=PRINCIPALS)
async def test_a_stream_belongs_to_who_the_configured_inputs_say(
    settings: dict[str, Any], mine: list[tuple[str, str]], other: list[tuple[str, str]], vary: str
) -> None:
    async with relayed(**settings) as (up, sc):
        stream = await read_by(sc, up, *mine)
        assert (await resume(sc, f"{stream}.1", *other)).status == 404
        mine_again = await resume(sc, f"{stream}.1", *reversed(mine), ("X-Forwarded-For", "192.0.2.7"))
        assert (mine_again.status, mine_again.header("Vary")) == (200, vary)


async def test_with_capability_whoever_has_the_id_may_read() -> None:
    async with relayed(principal=["capability"]) as (up, sc):
        stream = await read_by(sc, up, ALICE)
        response = await resume(sc, f"{stream}.1", BOB)
        assert (response.status, response.header("Vary")) == (200, "last-event-id")
        assert (await resume(sc, f"{forged(stream)}.1", BOB)).status == 404


ANSWERS = {
    "200": (200, 200),
    "204": (204, 200),
    "401": (401, 404),
    "403": (403, 404),
    "302": (302, 404),
    "500": (500, 503),
}


@pytest.mark.parametrize(("said", "answered"), ANSWERS.values(), ids=ANSWERS)
async def test_auth_check_decides_whether_a_login_still_holds(said: int, answered: int) -> None:
    async with FakeUpstream() as auth, relayed(auth_check=f"{auth.url}/check?a=1") as (up, sc):
        stream = await read_by(sc, up, ALICE)
        assert auth.requests == []
        auth.script(plain(said))
        response = await resume(sc, f"{stream}.1", ALICE, ("Cookie", "c=1"), ("X-Other", "x"))
        assert response.status == answered
        asked = auth.requests[0]
        assert (asked.method, asked.target) == ("GET", "/check?a=1")
        assert (asked.header("Authorization"), asked.header("Cookie")) == ("Bearer alice", "c=1")
        assert (asked.header("X-Original-Method"), asked.header("X-Original-URI")) == ("GET", "/v1/chat")
        assert asked.header("X-Other") is None
        assert len(up.requests) == 1


async def test_a_login_that_no_longer_holds_gets_the_same_404_as_a_forged_id() -> None:
    async with FakeUpstream() as auth, relayed(auth_check=f"{auth.url}/check") as (up, sc):
        stream = await read_by(sc, up, ALICE)
        auth.script(plain(401, [("WWW-Authenticate", "Basic")], b"secret"))
        revoked = await resume(sc, f"{stream}.1", ALICE)
        unknown = await resume(sc, f"{forged(stream)}.1", ALICE)
        assert (revoked.head.raw, revoked.raw) == (unknown.head.raw, unknown.raw)
        assert len(auth.requests) == 1


async def test_nothing_is_replayed_while_the_check_is_down() -> None:
    async with FakeUpstream() as auth, relayed(auth_check=f"{auth.url}/check") as (up, sc):
        stream = await read_by(sc, up, ALICE)
        auth.refuse()
        for target in ("/v1/chat", f"/_sse/streams/{stream}"):
            response = await resume(sc, f"{stream}.1", ALICE, target=target)
            assert (response.status, response.json()["code"]) == (503, "err-sidecar-auth-check-unavailable")
            assert response.header("Retry-After") == "1"


async def test_auth_check_is_asked_before_a_join_a_repeated_request_and_a_cancel() -> None:
    async with (
        FakeUpstream(lambda _: plain(401)) as auth,
        relayed(auth_check=f"{auth.url}/check") as (up, sc),
    ):
        key = ("Idempotency-Key", "k1")
        stream = await read_by(sc, up, ALICE, key)
        assert (await sc.client.fetch("GET", f"/_sse/streams/{stream}", [ALICE])).status == 404
        assert (await sc.client.fetch("DELETE", f"/_sse/streams/{stream}", [ALICE])).status == 404
        assert (await sc.client.fetch("POST", "/v1/chat", [STREAM, ALICE, key], b"{}")).status == 404
        assert (len(auth.requests), len(up.requests)) == (3, 1)
