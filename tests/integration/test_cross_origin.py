"""What a page of another origin can read of the sidecar's own answers: all if it is allowed, else nothing."""

import pytest

from tests.kit.relayed import relayed
from tests.kit.response import Response

APP, EVIL = "https://app.test", "https://evil.test"


def readable(response: Response) -> tuple[str | None, ...]:
    names = ("Allow-Origin", "Allow-Credentials", "Expose-Headers")
    return tuple(response.header(f"Access-Control-{name}") for name in names)


@pytest.mark.parametrize("target", ["/_sse/streams/s1" + "A" * 40, "/_sse/nothing", "/v1/chat"])
async def test_an_error_is_readable_from_an_allowed_origin_and_from_no_other(target: str) -> None:
    async with relayed(allowed_origins=[APP]) as (up, sc):
        up.refuse()
        answers = {
            origin: await sc.client.fetch("GET", target, [("Origin", origin)]) for origin in (APP, EVIL)
        }
        assert {answer.status >= 400 for answer in answers.values()} == {True}
        assert readable(answers[APP]) == (APP, "true", "Retry-After")
        assert readable(answers[EVIL]) == (None, None, None)
        assert answers[APP].header("Vary") == "origin"
        assert answers[APP].json() == answers[EVIL].json()


async def test_that_an_answer_has_expired_can_be_read() -> None:
    async with relayed({"linger_s": 0, "retain_s": 0}, allowed_origins=[APP]) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("GET", "/v1/chat", [("Origin", APP)]) as first:
            upstream = await hand.connection()
            await upstream.write(b"data: 1\n\n")
            await upstream.end()
            await first.read_to_end()
        await sc.until(lambda: not sc.parts.hub.streams)
        position = f"{first.header('SSE-Stream')}.1"
        answer = await sc.client.fetch("GET", f"/v1/chat?last_event_id={position}", [("Origin", APP)])
        assert (answer.status, answer.json()["code"]) == (410, "err-sidecar-resume-expired")
        assert readable(answer)[0] == APP


async def test_a_preflight_allows_the_fields_that_a_principal_is_made_of() -> None:
    async with relayed(allowed_origins=[APP], principal=["header:x-api-key", "cookie:login"]) as (_, sc):
        target = f"/_sse/streams/s1{'A' * 40}"
        asked = [("Origin", APP), ("Access-Control-Request-Method", "GET")]
        answer = await sc.client.fetch("OPTIONS", target, asked)
        allowed = answer.header("Access-Control-Allow-Headers")
        assert allowed == "authorization, last-event-id, x-api-key, cookie"
