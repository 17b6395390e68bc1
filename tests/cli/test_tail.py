"""A tail prints every event once and comes back until the stream is complete, or says why it is not."""

import asyncio
import re
import sys

import pytest
from click.testing import CliRunner, Result

from sidecar.cli.main import main
from tests.kit.fake_sidecar import SIDECAR_HEADERS, STREAM, FakeSidecar, end
from tests.kit.fake_sidecar import event as _event
from tests.kit.fake_upstream import FakeUpstream, literal, plain, sse
from tests.kit.user_process import user_process

QUICK = b"retry: 10\n"
"""Keeps a test from waiting a whole second before the next attempt."""

JSON_HEADERS = (("Content-Type", "application/problem+json"),)


async def _tail(up: FakeUpstream, *arguments: str, path: str = "/chat") -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["tail", *arguments, f"{up.url}{path}"])


class TestWhatIsPrinted:
    async def test_the_data_of_each_event_on_lines_of_its_own(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(b": hi\nevent: e\ndata: a\ndata: b\n\n", b"id: 7\n\n", b"data: c\n\n"))
            result = await _tail(up)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "a\nb\nc\n", "")

    async def test_raw_prints_whole_events(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(b": hi\r\nevent: e\r\ndata: a\r\n\r\n"))
            result = await _tail(up, "--raw")
        assert (result.exit_code, result.stdout) == (0, ": hi\nevent: e\ndata: a\n\n")

    async def test_an_event_is_printed_before_the_next_one_comes(self) -> None:
        go_on = asyncio.Event()
        async with FakeSidecar() as up:
            up.script(sse(b"data: first\n\n", go_on, b"data: second\n\n"))
            async with user_process(*_command("tail", f"{up.url}/")) as process:
                assert await process.line(30) == "first"
                go_on.set()
                assert (await process.finish())[:2] == (0, "second\n")

    async def test_half_an_event_is_not_printed(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(b"data: whole\n\ndata: half\n"))
            result = await _tail(up)
        assert (result.exit_code, result.stdout) == (0, "whole\n")


class TestTailResume:
    async def test_after_a_break_it_resumes_behind_the_last_event(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(QUICK, _event(1, "a"), _event(2, "b"), then="reset", headers=SIDECAR_HEADERS))
            up.script(sse(_event(3, "c"), end(3), headers=SIDECAR_HEADERS))
            result = await _tail(up)
            resumed = up.asked[1]
        assert (result.exit_code, result.stdout) == (0, "a\nb\nc\n")
        assert (resumed.target, resumed.header("last-event-id")) == ("/chat", f"{STREAM}.2")
        lost, resumed_after = result.stderr.splitlines()
        assert lost.endswith(" 0.0 s")
        assert resumed_after.endswith(" seq 2")

    async def test_204_means_that_there_is_no_more(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(QUICK, _event(1, "a"), then="fin", headers=SIDECAR_HEADERS))
            up.script(plain(204))
            result = await _tail(up)
        assert (result.exit_code, result.stdout) == (0, "a\n")

    async def test_silence_is_a_broken_connection(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(QUICK, _event(1, "a"), then="stall"))
            up.script(sse(_event(2, "b")))
            result = await _tail(up, "--stall-s", "0.2")
        assert (result.exit_code, result.stdout) == (0, "a\nb\n")
        assert re.search(r" 0\.2 seconds.* 0\.0 s$", result.stderr, re.MULTILINE)

    async def test_a_feed_s_own_ids_go_back_to_it(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(QUICK, b"id: \xc3\xa97\ndata: a\n\n", then="reset"))
            up.script(sse(b"id: 8\ndata: b\n\n"))
            result = await _tail(up, "-H", "Last-Event-ID: 6")
            ids = [request.header("last-event-id") for request in up.asked]
        assert ids[0] == "6"
        assert str(ids[1]).encode("latin-1") == b"\xc3\xa97"
        assert "Resumed after id é7" in result.stderr

    async def test_a_stream_without_ids_is_resumed_by_counting(self) -> None:
        async with FakeSidecar() as up:
            up.script(
                sse(QUICK, b"data: a\n\ndata: b\n\n", then="reset", headers=SIDECAR_HEADERS),
                sse(b"data: c\n\n", end(3), headers=SIDECAR_HEADERS),
            )
            result = await _tail(up)
            resumed = up.asked[1]
        assert (result.exit_code, result.stdout) == (0, "a\nb\nc\n")
        assert resumed.target == f"/_sse/streams/{STREAM}"
        assert resumed.header("last-event-id") == f"{STREAM}.2"

    async def test_what_a_gap_left_out_counts_too(self) -> None:
        gap = b'event: sse-gap\ndata: {"missed_from":1,"missed_through":4,"reason":"trimmed"}\n\n'
        async with FakeSidecar() as up:
            up.script(sse(QUICK, gap, b"data: e\n\n", then="reset", headers=SIDECAR_HEADERS), plain(204))
            await _tail(up)
            resumed = up.asked[1]
        assert resumed.header("last-event-id") == f"{STREAM}.5"

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    async def test_a_server_that_is_busy_is_asked_again_when_it_says(self, status: int) -> None:
        async with FakeSidecar() as up:
            up.script(plain(status, [("Retry-After", "0")], b"busy"), sse(b"data: a\n\n"))
            result = await _tail(up)
        assert (result.exit_code, result.stdout) == (0, "a\n")
        assert re.search(rf" {status}\b.* 0\.0 s$", result.stderr, re.MULTILINE)

    async def test_it_gives_up_after_so_many_attempts(self) -> None:
        async with FakeSidecar() as up:
            up.script(*[plain(503, [("Retry-After", "0")])] * 2)
            result = await _tail(up, "--max-attempts", "1")
        assert (result.exit_code, len(up.asked)) == (1, 2)
        assert re.search(r" 1 attempt\b.* 503\b", result.stderr.splitlines()[-1])

    async def test_an_event_starts_the_count_of_attempts_anew(self) -> None:
        broken = [sse(QUICK, b"id: %d\ndata: a\n\n" % number, then="reset") for number in (1, 2, 3)]
        async with FakeSidecar() as up:
            up.script(*broken, plain(204))
            result = await _tail(up, "--max-attempts", "1")
        assert result.exit_code == 0

    async def test_a_server_that_is_down_is_named(self) -> None:
        async with FakeSidecar() as up:
            up.refuse()
            result = await _tail(up, "--max-attempts", "1")
        assert result.exit_code == 1
        words = "sse-sidecar: The server cannot be reached. Given up after 1 attempt. (Connection refused)\n"
        assert result.stderr.endswith(words)


class TestTailFailures:
    @pytest.mark.parametrize(
        ("event", "words"),
        [
            (
                b'event: sse-error\ndata: {"error":{"code":"err-x","message":"It broke."},"stream":"s"}\n\n',
                "sse-sidecar: It broke. (err-x)\n",
            ),
            (b'data: {"error":{"message":"Overloaded"}}\n\n', "sse-sidecar: Overloaded\n"),
            (b'data: {"error":"no"}\n\n', "sse-sidecar: no\n"),
        ],
        ids=["sidecar", "openai", "text"],
    )
    async def test_a_failure_inside_the_stream_is_a_failure(self, event: bytes, words: str) -> None:
        async with FakeSidecar() as up:
            up.script(sse(b"data: a\n\n", event))
            result = await _tail(up)
        assert (result.exit_code, result.stderr) == (1, words)

    @pytest.mark.parametrize(
        "event", [b'data: {"error":null}\n\n', b'data: say "error" twice\n\n', b'data: ["error"]\n\n']
    )
    async def test_what_only_mentions_an_error_is_none(self, event: bytes) -> None:
        async with FakeSidecar() as up:
            up.script(sse(event))
            assert (await _tail(up)).exit_code == 0

    async def test_a_gap_is_told_and_not_printed(self) -> None:
        gap = b'event: sse-gap\ndata: {"missed_from":2,"missed_through":9,"reason":"trimmed"}\n\n'
        async with FakeSidecar() as up:
            up.script(sse(gap, _event(10, "j"), end(10), headers=SIDECAR_HEADERS))
            result = await _tail(up, "-H", f"Last-Event-ID: {STREAM}.1")
        assert (result.exit_code, result.stdout) == (0, "j\n")
        assert re.fullmatch(r"sse-sidecar: .* seq 2 to 9 .*\(trimmed\)\n", result.stderr)

    @pytest.mark.parametrize("status", [404, 410])
    async def test_a_stream_that_is_gone_is_told_in_the_server_s_words(self, status: int) -> None:
        body = b'{"title":"It is no longer kept.","code":"err-sidecar-x"}'
        async with FakeSidecar() as up:
            up.script(plain(status, JSON_HEADERS, body))
            result = await _tail(up)
        assert result.exit_code == 1
        assert re.fullmatch(
            rf"sse-sidecar: It is no longer kept\. \(err-sidecar-x\) .*\b{status}\)\n", result.stderr
        )

    async def test_what_is_no_event_stream_is_not_printed(self) -> None:
        async with FakeSidecar() as up:
            up.script(plain(200, [("Content-Type", "text/html")], b"<p>Sorry"))
            result = await _tail(up)
        assert (result.exit_code, result.stdout) == (1, "")
        assert re.fullmatch(r"sse-sidecar: .* 200 .*text/html\)\n", result.stderr)

    async def test_a_redirect_is_told_not_followed(self) -> None:
        async with FakeSidecar() as up:
            up.script(plain(302, [("Location", "https://elsewhere.example/")]))
            result = await _tail(up)
        assert result.exit_code == 1
        assert re.fullmatch(r"sse-sidecar: .* 302\b.* https://elsewhere\.example/\)\n", result.stderr)

    async def test_what_a_server_says_cannot_write_to_the_terminal(self) -> None:
        body = b'{"title":"\\u001b[2Jgone"}'
        async with FakeSidecar() as up:
            up.script(plain(404, JSON_HEADERS, body))
            result = await _tail(up)
        assert re.fullmatch(r"sse-sidecar: \?\[2Jgone .*\b404\)\n", result.stderr)


class TestPost:
    async def test_it_is_sent_once_and_its_rest_is_asked_for_by_name(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(QUICK, _event(1, "a"), then="reset", headers=SIDECAR_HEADERS))
            up.script(sse(_event(2, "b"), end(2), headers=SIDECAR_HEADERS))
            result = await _tail(up, "-d", '{"n":1}', "-H", "Authorization: Bearer t", path="/v1/chat?x=1")
            asked, resumed = up.asked
        assert (result.exit_code, result.stdout) == (0, "a\nb\n")
        assert (asked.method, asked.target, asked.body) == ("POST", "/v1/chat?x=1", b'{"n":1}')
        assert asked.header("content-type") == "application/json"
        assert len(str(asked.header("idempotency-key"))) == 36
        assert (resumed.method, resumed.target) == ("GET", f"/_sse/streams/{STREAM}")
        assert resumed.header("last-event-id") == f"{STREAM}.1"
        assert resumed.header("authorization") == "Bearer t"
        assert (resumed.header("content-type"), resumed.header("idempotency-key")) == (None, None)

    async def test_without_a_sidecar_in_front_it_is_not_sent_again(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(b"data: a\n\n", then="reset"))
            result = await _tail(up, "-d", "{}")
        assert (result.exit_code, len(up.asked)) == (1, 1)
        assert result.stderr.startswith("sse-sidecar: ")

    async def test_one_whose_answer_never_began_is_not_sent_again(self) -> None:
        async with FakeSidecar() as up:
            up.script(literal(b"", then="reset"))
            result = await _tail(up, "-d", "{}")
        assert (result.exit_code, len(up.asked)) == (1, 1)
        assert result.stderr.startswith("sse-sidecar: ")

    async def test_one_that_was_turned_away_is_sent_again_under_the_same_key(self) -> None:
        async with FakeSidecar() as up:
            up.script(plain(503, [("Retry-After", "0")]), sse(b"data: a\n\n"))
            result = await _tail(up, "-d", "{}")
            keys = {request.header("idempotency-key") for request in up.asked}
        assert (result.exit_code, len(up.asked), len(keys)) == (0, 2, 1)

    async def test_a_bad_gateway_may_have_begun_it(self) -> None:
        async with FakeSidecar() as up:
            up.script(plain(502))
            result = await _tail(up, "-d", "{}")
        assert (result.exit_code, len(up.asked)) == (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ftp://x"],
        ["http://"],
        ["http://x:99999/"],
        ["-H", "no colon", "http://x"],
        ["-H", "A: b\nC: d", "http://x"],
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["tail", *arguments]).exit_code == 2


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sidecar", *arguments]
