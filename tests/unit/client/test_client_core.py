"""The decisions of the Python client, without a network or a clock."""

import json
from typing import Any

import pytest

from sidecar.client import Event, Gap, State
from sidecar.client.answer import Meaning, ResponseHead, meaning, problem_of
from sidecar.client.course import ConnectionLoss, StreamCourse
from sidecar.client.progress import GAPS_MAX, Progress
from sidecar.client.report import REPORT_BYTES_MAX, report
from sidecar.client.request import Request, StreamRequest, origin
from sidecar.client.told import failure_of, gap_of, last_seq_of
from sidecar.client.wait import retry_after_s, wait_s

URL = "https://chat.example:8443/v1/chat?x=1"
STREAM = "s1" + "A" * 40
OTHER = "s1" + "B" * 40
USUAL = {
    "accept": "text/event-stream; sse-events=1",
    "accept-encoding": "identity",
    "cache-control": "no-cache",
}


def stamped(seq: int, stream: str = STREAM) -> Event:
    return Event("message", "x", f"{stream}.{seq}", own_id=True)


BARE = Event("message", "x")


class TestWhatIsAskedNext:
    def test_a_get_is_asked_again_behind_its_last_id(self) -> None:
        question, progress = StreamRequest(URL), Progress()
        assert question.next(progress, {}) == Request("GET", URL, USUAL)
        progress.last_event_id = "7"
        assert question.next(progress, {}) == Request("GET", URL, USUAL | {"last-event-id": "7"})

    def test_a_post_is_sent_once_and_its_rest_is_read_by_stream_id(self) -> None:
        question, progress = StreamRequest(URL, "POST", b"{}", key="k"), Progress()
        fields = {"content-type": "application/json", "authorization": "Bearer t"}
        asked = question.next(progress, fields)
        assert asked == Request("POST", URL, USUAL | fields | {"idempotency-key": "k"}, b"{}", repeats=False)
        progress.answered(STREAM)
        progress.take(stamped(1))
        progress.last_event_id = f"{STREAM}.1"
        assert question.next(progress, fields) == Request(
            "GET",
            f"https://chat.example:8443/_sse/streams/{STREAM}",
            USUAL | {"authorization": "Bearer t", "last-event-id": f"{STREAM}.1"},
        )

    def test_a_stream_without_ids_is_asked_for_by_name_and_count(self) -> None:
        question, progress = StreamRequest(URL), Progress()
        progress.answered(STREAM)
        for _ in range(3):
            progress.take(BARE)
        asked = question.next(progress, {})
        assert asked.url == f"https://chat.example:8443/_sse/streams/{STREAM}"
        assert asked.headers["last-event-id"] == f"{STREAM}.3"

    def test_a_stream_that_is_joined_is_never_asked_for_at_its_url(self) -> None:
        asked = StreamRequest(URL, "POST", b"{}", join=STREAM, key="k").next(Progress(STREAM), {})
        assert asked == Request("GET", f"https://chat.example:8443/_sse/streams/{STREAM}", USUAL)

    def test_without_control_nothing_of_a_sidecar_is_asked(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        asked = StreamRequest(URL, "POST", b"{}", control="", key="k").next(progress, {})
        assert (asked.method, asked.url) == ("POST", URL)
        assert asked.headers == USUAL | {"accept": "text/event-stream"}

    def test_what_the_program_says_wins_but_for_the_position(self) -> None:
        asked = StreamRequest(URL, key="k").next(Progress("", "8"), {"accept": "*/*", "last-event-id": "6"})
        assert (asked.headers["accept"], asked.headers["last-event-id"]) == ("*/*", "8")

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://a", "http://a"),
            ("http://a:1/b/c?d=http://e/f", "http://a:1"),
            ("http://a?b/c", "http://a"),
            ("http://a#b/c", "http://a"),
        ],
    )
    def test_the_control_api_is_on_the_origin_of_the_url(self, url: str, expected: str) -> None:
        assert origin(url) == expected


def _means(status: int, content_type: str = "", code: str = "", **how: bool) -> Meaning:
    head = ResponseHead(status, {"content-type": content_type}, {"code": code})
    usual = {"repeats": True, "idempotent": False, "renews": False}
    return meaning(head, **(usual | how))


class TestWhatAnAnswerMeans:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
    def test_a_get_is_asked_again_when_the_server_is_busy_or_broken(self, status: int) -> None:
        assert _means(status) is Meaning.AGAIN

    @pytest.mark.parametrize(
        ("status", "again"), [(429, True), (503, True), (500, False), (502, False), (504, False)]
    )
    def test_a_post_is_sent_again_only_where_nothing_was_begun(self, status: int, again: bool) -> None:
        assert (_means(status, repeats=False) is Meaning.AGAIN) is again
        assert (_means(status, repeats=False, idempotent=True) is Meaning.AGAIN) is again

    def test_a_sidecar_may_be_sent_a_key_again(self) -> None:
        told = _means(502, code="err-sidecar-upstream-refused", repeats=False, idempotent=True)
        assert told is Meaning.AGAIN

    @pytest.mark.parametrize("status", [301, 302, 304, 400, 404, 405, 410, 418, 422])
    def test_what_will_not_change_is_a_failure(self, status: int) -> None:
        assert _means(status) is Meaning.FAILED

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_login_is_asked_for_again_where_it_can_be(self, status: int) -> None:
        assert _means(status, renews=True) is Meaning.RENEW
        assert _means(status) is Meaning.FAILED

    @pytest.mark.parametrize(
        ("content_type", "expected"),
        [
            ("text/event-stream", Meaning.READ),
            ("Text/Event-Stream; charset=utf-8", Meaning.READ),
            ("text/html", Meaning.FAILED),
            ("text/event-streams", Meaning.FAILED),
            ("", Meaning.FAILED),
        ],
    )
    def test_only_an_event_stream_is_read(self, content_type: str, expected: Meaning) -> None:
        assert _means(200, content_type) is expected
        assert _means(204) is Meaning.COMPLETED

    @pytest.mark.parametrize(
        ("head", "reason"),
        [
            (ResponseHead(404, {}, {"title": "There is no such stream."}), "There is no such stream."),
            (ResponseHead(404), "The server refused the request (404)."),
            (ResponseHead(410), "The rest of this is no longer kept. Ask again."),
            (ResponseHead(503), "The server is not available (503)."),
            (ResponseHead(200), "The server answered with something else than an event stream."),
        ],
    )
    def test_the_reason_is_a_sentence(self, head: ResponseHead, reason: str) -> None:
        assert head.reason == reason

    def test_an_api_s_own_error_is_read_like_a_problem_document(self) -> None:
        body = b'{"error":{"message":"You exceeded your quota.","code":"insufficient_quota"}}'
        head = ResponseHead(429, {}, problem_of(body))
        assert (head.reason, head.code) == ("You exceeded your quota.", "insufficient_quota")

    @pytest.mark.parametrize("body", [b"", b"<p>", b"[1]", b"7", b"[" * 100_000])
    def test_what_is_no_problem_document_says_nothing(self, body: bytes) -> None:
        assert problem_of(body) == {}


class TestWaits:
    @pytest.mark.parametrize(("attempt", "wait"), [(0, 1), (1, 2), (2, 4), (3, 5), (4, 5), (49, 5)])
    def test_the_usual_waits_and_a_tenth_more(self, attempt: int, wait: float) -> None:
        assert wait_s(attempt, 0.0, retry_s=None, retry_after_s=None) == wait
        assert wait_s(attempt, 1.0, retry_s=None, retry_after_s=None) == pytest.approx(1.1 * wait)

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("7", 7.0),
            (" 0 ", 0.0),
            ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
            ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Wed, 99 Oct 2015 07:28:10 GMT", None),
            ("9" * 400, 999_999_999.0),
        ],
    )
    def test_retry_after_is_seconds_or_a_date(self, value: str, seconds: float | None) -> None:
        assert retry_after_s(value, now_epoch=1_445_412_480.0) == seconds

    def test_no_server_makes_a_client_wait_for_more_than_five_minutes(self) -> None:
        assert wait_s(0, 0.0, retry_s=None, retry_after_s=1e9) == 300
        assert wait_s(0, 0.0, retry_s=1e9, retry_after_s=None) == 300


class TestWhatIsTold:
    @pytest.mark.parametrize(
        ("kind", "data", "reason", "code"),
        [
            ("sse-error", '{"error":{"code":"err-x","message":"No."},"stream":"s"}', "No.", "err-x"),
            ("message", '{"error":{"message":"No.","type":"server","code":null}}', "No.", "server"),
            (
                "error",
                '{"type":"error","error":{"type":"overloaded","message":"Full."}}',
                "Full.",
                "overloaded",
            ),
            ("message", '{"type":"error","errorText":"No."}', "No.", ""),
            ("message", '{"error":{"message":"No.","details":[{"reason":"err-y"}]}}', "No.", "err-y"),
            ("message", '{"error":"no"}', "no", ""),
            ("error", "what?", "The server reported an error.", ""),
            ("error", "[]", "The server reported an error.", ""),
        ],
    )
    def test_an_error_in_any_family_s_form(self, kind: str, data: str, reason: str, code: str) -> None:
        assert failure_of(Event(kind, data)) == ConnectionLoss(reason, code=code)

    @pytest.mark.parametrize(
        "data",
        [
            '{"error":null}',
            'say "error" twice',
            '["error"]',
            '{"jsonrpc":"2.0","id":1,"error":{"code":-1}}',
            "{}",
        ],
    )
    def test_what_only_mentions_an_error_is_none(self, data: str) -> None:
        assert failure_of(Event("message", data)) is None

    @pytest.mark.parametrize("data", ["", "[]", "{}", '{"missed_from":"x","missed_through":1.5}', "null"])
    def test_a_gap_that_says_nothing_is_unknown(self, data: str) -> None:
        assert gap_of(Event("sse-gap", data)) == Gap(1, None, "")

    @pytest.mark.parametrize(("data", "last_seq"), [('{"last_seq":7}', 7), ("{}", 0), ("x", 0)])
    def test_the_end_says_its_last_seq(self, data: str, last_seq: int) -> None:
        assert last_seq_of(Event("sse-end", data)) == last_seq


def _reported(progress: Progress, course: StreamCourse, unread: int = 0) -> dict[str, Any]:
    said = json.loads(report(progress, course, "end", unread=unread))
    assert isinstance(said, dict)
    return said


class TestReports:
    def test_a_report_says_counts_and_nothing_else(self) -> None:
        progress, course = Progress("", f"{STREAM}.2"), StreamCourse(10)
        progress.answered(STREAM)
        course.opened()
        progress.take(stamped(3))
        progress.take(stamped(3))
        progress.missed(Gap(4, 5, "trimmed"))
        progress.take(stamped(6))
        course.lost(ConnectionLoss("x", stalled=True), now=10.0, jitter=0.0)
        course.heard(now=11.25, replayed=None)
        course.completed()
        assert _reported(progress, course) == {
            "v": 1,
            "stream": STREAM,
            "received": 2,
            "first_seq": 3,
            "last_seq": 6,
            "gaps": [[4, 5]],
            "duplicates": 1,
            "reconnects": [1.25],
            "stalls": 1,
            "state": "completed",
            "told": True,
            "at": "end",
        }

    def test_what_the_program_was_not_handed_does_not_count(self) -> None:
        progress, course = Progress(), StreamCourse(10)
        progress.answered(STREAM)
        for seq in (1, 2, 3):
            progress.take(stamped(seq))
        said = _reported(progress, course, unread=2)
        assert (said["received"], said["last_seq"]) == (1, 1)

    def test_a_report_never_outgrows_its_bound(self) -> None:
        progress, course = Progress("", f"{STREAM}.{10**17}"), StreamCourse(0)
        progress.answered(STREAM)
        for number in range(GAPS_MAX):
            at = 10**17 + 2 * number + 1
            progress.missed(Gap(at, at, "trimmed"))
        for number in range(200):
            course.lost(ConnectionLoss("x"), now=1000.0 * number, jitter=1.0)
            course.heard(now=1000.0 * number + 123.456, replayed=None)
        said = report(progress, course, "recovery")
        assert len(said) <= REPORT_BYTES_MAX
        assert len(json.loads(said)["reconnects"]) == 50


def test_a_final_state_is_final() -> None:
    course = StreamCourse(10)
    course.failed("It broke.", "err-x")
    course.completed()
    course.opened()
    course.closed()
    assert (course.state, course.reason, course.code) == (State.FAILED, "It broke.", "err-x")
