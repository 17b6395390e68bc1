"""How streams end, by their terminals, errors and clean ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.observability import errors
from sidecar.observability.labels import Outcome, SilentKind
from sidecar.sse.verdict import DETECT_EVENTS_MAX, Ending, StreamVerdict
from tests.kit import wire_forms
from tests.unit.sse.protocols.examples import COMPLETE as WHOLE

COMPLETED = Ending(Outcome.COMPLETED)
TRUNCATED = Ending(Outcome.UPSTREAM_TRUNCATED, errors.UpstreamTruncated, SilentKind.TRUNCATED)
EMPTY = Ending(Outcome.UPSTREAM_TRUNCATED, errors.UpstreamEmpty, SilentKind.EMPTY)
REPORTED = Ending(Outcome.UPSTREAM_ERROR, errors.UpstreamReportedError, told=True)

ERRORS = {
    "openai": wire_forms.OPENAI_ERROR,
    "responses": wire_forms.RESPONSES_ERROR,
    "anthropic": wire_forms.ANTHROPIC_ERROR,
    "ai-sdk": wire_forms.AI_SDK_ERROR,
    "google": wire_forms.GOOGLE_ERROR,
    "ours": b'event: sse-error\ndata: {"error":{"code":"x","message":"y","retryable":true},"stream":"s1"}\n',
    "spaced": b'data:\t{ "error" :\ndata: {"message": "m"}}\n',
    "nested last": b'data: {"id":"gen-1","object":"chat.completion.chunk","error":{"code":"server_error",'
    b'"message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},'
    b'"finish_reason":"error"}]}\n',
    "a string": b'data: {"error":"model overloaded"}\n',
}


def watch(events: list[bytes], complete_on: str = "auto", *, live: bool = False) -> StreamVerdict:
    verdict = StreamVerdict(complete_on, live=live)
    for event in events:
        verdict.observe(event)
    return verdict


def judge(events: list[bytes], complete_on: str = "auto", *, live: bool = False) -> Ending:
    return watch(events, complete_on, live=live).ending(events=len(events))


def chat(fields: bytes) -> bytes:
    return b'data: {"id":"c","object":"chat.completion.chunk",' + fields + b"}\n"


# -- whole and truncated ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", WHOLE)
def test_a_complete_response_is_detected_and_completes(family: str) -> None:
    verdict = watch(WHOLE[family])
    assert verdict.family == family
    assert verdict.ending(events=1) == COMPLETED


TERMINALS_MAX = {"openai-chat": 3, "ai-sdk": 2}
"""How many events at the end say so, each on its own."""


@pytest.mark.parametrize("family", WHOLE)
def test_a_response_without_its_terminal_is_truncated(family: str) -> None:
    events = WHOLE[family]
    for count in range(1, len(events) - TERMINALS_MAX.get(family, 1) + 1):
        assert judge(events[:count]) == TRUNCATED, events[count - 1]
    assert judge([]) == EMPTY


@pytest.mark.parametrize("family", WHOLE)
def test_a_reset_after_the_terminal_still_completes(family: str) -> None:
    assert watch(WHOLE[family]).broken(errors.UpstreamReset) == COMPLETED


def test_openai_chat_is_complete_with_its_finish_reason_or_done() -> None:
    first = wire_forms.OPENAI_CHAT[0]
    assert judge([first, b"data: [DONE]\n"]) == COMPLETED
    assert judge([first, b"data:[DONE]\n"]) == COMPLETED
    assert judge([first, chat(b'"choices":[{"index":0,"delta":{},"finish_reason": "length"}]')]) == COMPLETED
    assert judge([first, chat(b'"choices":[{"index":0,"delta":{},"finish_reason":null}]')]) == TRUNCATED


@pytest.mark.parametrize(
    "content",
    [
        b"[DONE]",
        b"data: [DONE]",
        b'\\"finish_reason\\":\\"stop\\"',
        b'{\\"error\\": 1}',
        b"\\n\\nevent: error\\n",
        b"message_stop response.completed finish",
    ],
)
def test_text_of_a_model_is_neither_a_terminal_nor_an_error(content: bytes) -> None:
    delta = chat(b'"choices":[{"index":0,"delta":{"content":"' + content + b'"},"finish_reason":null}]')
    assert judge([wire_forms.OPENAI_CHAT[0], delta]) == TRUNCATED
    said = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"' + content + b'"}}'
    assert judge([wire_forms.ANTHROPIC[0], b"event: content_block_delta\ndata: " + said + b"\n"]) == TRUNCATED
    said = b'{"type":"response.output_text.delta","delta":"' + content + b'"}'
    assert judge([wire_forms.OPENAI_RESPONSES[0], b"data: " + said + b"\n"]) == TRUNCATED
    said = b'{"type":"text-delta","id":"1","delta":"' + content + b'"}'
    assert judge([wire_forms.AI_SDK[0], b"data: " + said + b"\n"]) == TRUNCATED
    said = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"' + content + b'"}}'
    assert judge([wire_forms.MCP[0], b"data: " + said + b"\n"]) == TRUNCATED
    assert judge([b"data: " + content + b"\n"]) == COMPLETED


def test_a_finish_reason_elsewhere_in_a_chunk_is_not_a_terminal() -> None:
    tool = chat(b'"choices":[{"index":0,"delta":{"tool":{"finish_reason":"stop"}},"finish_reason":null}]')
    assert judge([wire_forms.OPENAI_CHAT[0], tool]) == TRUNCATED


@pytest.mark.parametrize("last", [wire_forms.RESPONSES_FAILED, wire_forms.RESPONSES_INCOMPLETE])
def test_a_failed_or_incomplete_response_completes_the_stream(last: bytes) -> None:
    assert judge([*wire_forms.OPENAI_RESPONSES[:2], last]) == COMPLETED


def test_an_ai_sdk_answer_may_be_aborted_by_its_own_side() -> None:
    assert judge([wire_forms.AI_SDK[0], b'data: {"type":"abort"}\n']) == COMPLETED
    assert judge([wire_forms.AI_SDK[0], b"data: [DONE]\n"]) == COMPLETED


def test_the_ai_sdk_is_detected_by_its_response_field() -> None:
    verdict = StreamVerdict()
    verdict.observe_response([b"x-vercel-ai-ui-message-stream"])
    verdict.observe(b'data: {"type":"start"}\n')
    assert (verdict.family, verdict.ending(events=1)) == ("ai-sdk", TRUNCATED)


def test_a_google_response_to_a_blocked_prompt_completes() -> None:
    assert judge([wire_forms.GOOGLE_BLOCKED]) == COMPLETED


def test_a_google_finish_reason_elsewhere_in_a_chunk_is_none() -> None:
    said = b'{"candidates":[{"content":{"parts":[{"text":"\\"finishReason\\":\\"STOP\\""}]},"index":0}]}'
    named = b'{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"finishReason":"STOP"}}}]}}]}'
    unsaid = b'{"candidates":[{"content":{"parts":[{"text":"."}]},"finishReason":null}]}'
    for event in (said, named, unsaid):
        assert judge([wire_forms.GOOGLE[0], b"data: " + event + b"\n"]) == TRUNCATED


def test_an_mcp_stream_completes_with_an_error_response() -> None:
    assert judge([wire_forms.MCP[0], wire_forms.MCP_ERROR]) == COMPLETED
    assert judge([wire_forms.MCP_ERROR]) == COMPLETED


def test_an_mcp_stream_of_notifications_may_end_at_any_time() -> None:
    assert judge(wire_forms.MCP[:1], live=True) == COMPLETED
    request = b'data: {"jsonrpc":"2.0","id":7,"method":"elicit","params":{"result":1,"error":2}}\n'
    assert judge([request]) == TRUNCATED
    notice = b'data: {"jsonrpc":"2.0","method":"notifications/message","result":1}\n'
    assert judge([notice]) == TRUNCATED


# -- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("family", [f for f in WHOLE if f != "mcp"])
def test_an_error_event_in_the_middle_fails_the_stream(family: str, error: str) -> None:
    events = [*WHOLE[family][:2], ERRORS[error]]
    assert judge(events) == REPORTED
    assert judge([*events, b"data: [DONE]\n"]) == REPORTED
    assert watch(events).broken(errors.UpstreamReset) == REPORTED


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_as_the_first_event_fails_the_stream(error: str) -> None:
    assert judge([ERRORS[error]]) == REPORTED
    assert judge([ERRORS[error]], "eof") == REPORTED
    assert judge([ERRORS[error]], "done") == REPORTED


def test_an_error_after_many_plain_events_fails_the_stream() -> None:
    assert judge([b"data: tick\n"] * (DETECT_EVENTS_MAX + 1) + [wire_forms.OPENAI_ERROR]) == REPORTED


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":null,"text":"a"}\n',
        b'data: {"error": null}\n',
        b'data: {"error" :  null }\n',
        b'data: {"error":false}\n',
        b'data: {"error":""}\n',
        b'data: {"error":{}}\n',
        b'data: {"text":"error","nested":{"error":"x"}}\n',
        b"data: error\n",
        b"data: event: error\n",
        b": event: error\ndata: a\n",
        b"event: errors\ndata: a\n",
        b"event: error\nevent: other\ndata: a\n",
        b"event:  error\ndata: a\n",
    ],
)
def test_an_event_that_only_mentions_an_error_is_not_one(event: bytes) -> None:
    assert judge([event]) == COMPLETED
    assert judge([wire_forms.OPENAI_CHAT[0], event, b"data: [DONE]\n"]) == COMPLETED


def test_a_live_feed_that_continues_after_an_error_has_not_failed() -> None:
    error = b"event: error\ndata: sensor 7 is offline\n"
    assert judge([error, b"data: 1\n"], live=True) == COMPLETED
    assert judge([b"data: 1\n", error], live=True) == REPORTED
    assert judge([error, b"data: 1\n"]) == REPORTED


# -- the unfinished rest ------------------------------------------------------------------------------------


def test_a_terminal_without_its_blank_line_still_counts() -> None:
    verdict = watch(wire_forms.OPENAI_CHAT[:2])
    verdict.observe_rest(b"data: [DONE]")
    assert verdict.ending(events=2) == COMPLETED


def test_an_unfinished_error_leaves_the_failure_event_to_the_sidecar() -> None:
    verdict = watch([b"data: a\n"])
    verdict.observe_rest(wire_forms.ANTHROPIC_ERROR)
    assert verdict.ending(events=1) == REPORTED._replace(told=False)


@pytest.mark.parametrize("rest", [b"", b": note\n", b"data: half", wire_forms.ANTHROPIC_ERROR])
@pytest.mark.parametrize("live", [False, True])
def test_a_finished_error_stays_sent_after_an_unfinished_block(rest: bytes, *, live: bool) -> None:
    verdict = watch([b"data: a\n", wire_forms.OPENAI_ERROR], live=live)
    verdict.observe_rest(rest)
    assert verdict.ending(events=2) == REPORTED


# -- what the route says ------------------------------------------------------------------------------------


def test_a_plain_stream_completes_at_a_clean_end_unless_empty() -> None:
    assert judge([b"data: a\n"]) == COMPLETED
    assert StreamVerdict().ending(events=0) == EMPTY
    assert judge([], live=True) == COMPLETED


def test_only_a_backends_error_needs_no_failure_event() -> None:
    for ending in (COMPLETED, TRUNCATED, EMPTY, watch([]).broken(errors.UpstreamReset)):
        assert ending.told is False
    assert REPORTED.told is True


def test_complete_on_eof_takes_any_clean_end_even_an_empty_one() -> None:
    assert judge([], "eof") == COMPLETED
    assert judge(wire_forms.OPENAI_CHAT[:2], "eof") == COMPLETED
    assert watch(wire_forms.OPENAI_CHAT[:2], "eof").family == "openai-chat"


@pytest.mark.parametrize(
    ("events", "ending"),
    [
        ([b"event: done\ndata: x\n"], COMPLETED),
        ([b"data: done\n"], COMPLETED),
        ([b"data: a\n", b"data:  done \n"], COMPLETED),
        ([b"data: not done\n"], TRUNCATED),
        ([b"event: x\nid: done\ndata: a\n"], TRUNCATED),
        ([b"event: done\nevent: x\ndata: a\n"], TRUNCATED),
        ([], TRUNCATED),
        (wire_forms.OPENAI_CHAT, TRUNCATED),
    ],
)
def test_complete_on_an_event_name_or_a_literal_takes_only_that(events: list[bytes], ending: Ending) -> None:
    assert judge(events, "done") == ending


def test_complete_on_a_literal_overrules_the_response_field() -> None:
    verdict = StreamVerdict("bye")
    verdict.observe_response([b"x-vercel-ai-ui-message-stream"])
    verdict.observe(b"data: bye\n")
    assert verdict.ending(events=1) == COMPLETED


# -- detection ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", WHOLE)
def test_a_protocol_is_detected_after_a_few_other_events(family: str) -> None:
    assert watch([b"data: \n", b"event: ping\ndata: {}\n", *WHOLE[family]]).family == family
    ticks = [b"data: tick\n"] * DETECT_EVENTS_MAX
    assert watch([*ticks[1:], *WHOLE[family]]).family == family
    assert watch([*ticks, *WHOLE[family]]).family == "unknown"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":["red","green"],"question":"?"}\n',
        b'data: {"choices":[]}\n',
        b'data: {"choices":{"delta":1}}\n',
        b'data: {"type":"start"}\n',
        b'data: {"type":"text-delta","text":"a"}\n',
        b'data: {"type":"responses"}\n',
        b'data: {"type":{"response.completed":1}}\n',
        b'data: {"type":["response.completed"],"object":{}}\n',
        b'data: {"object":"list","data":[]}\n',
        b'data: {"rpc":{"jsonrpc":"2.0"}}\n',
        b'data: {"text":"\\"jsonrpc\\":\\"2.0\\""}\n',
        b'data: [{"type":"message_start"}]\n',
        b'data: "message_start"\n',
        b'data: {"candidates":["Ada",{"name":"Bob","content":"Hi"}]}\n',
        b'data: {"candidates":{"content":{"parts":[]}}}\n',
        b"data: {broken\n",
        b"data: \xff\xfe\n",
        b"data: " + b"[" * 100_000 + b"\n",
        b'data: {"a":' + b"9" * 5_000 + b"}\n",
        b"data\n",
    ],
)
def test_an_event_that_resembles_a_protocol_shows_none(event: bytes) -> None:
    verdict = watch([event])
    assert (verdict.family, verdict.ending(events=1)) == ("unknown", COMPLETED)


def test_legacy_completions_and_a_first_filter_chunk_are_openai() -> None:
    legacy = b'data: {"object":"text_completion","choices":[{"text":"a","index":0,"finish_reason":null}]}\n'
    filters = b'data: {"id":"","object":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n'
    assert watch([legacy]).family == "openai-chat"
    assert watch([filters, *wire_forms.OPENAI_CHAT]).family == "openai-chat"
    assert judge([filters, *wire_forms.OPENAI_CHAT]) == COMPLETED


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"object":"chat.completion.chunk","choices":[]}\n',
        b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n',
        b'data: {"choices":[{"text":"Hi","finish_reason":null}]}\n',
    ],
)
def test_one_sign_of_openai_is_enough(event: bytes) -> None:
    assert watch([event]).family == "openai-chat"


def test_json_over_several_data_lines_is_one_value() -> None:
    pretty = b'event: message_start\ndata: {\ndata:   "type": "message_start"\ndata: }\n'
    assert watch([pretty]).family == "anthropic"


@given(st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b" ")), max_size=12), st.booleans())
def test_events_of_any_bytes_are_harmless(datas: list[bytes], live: bool) -> None:
    for head in (b"", *(events[0] for events in WHOLE.values())):
        events = [head] if head else []
        judge(events + [b"data: " + data + b"\n" for data in datas], live=live)


@pytest.mark.parametrize("value", ["null", "[]", "{}", "1", "true", '"x"', '["response.completed"]'])
def test_fields_of_any_type_are_harmless(value: str) -> None:
    odd = (
        f'data: {{"type":{value},"choices":{value},"object":{value},"jsonrpc":{value},'
        f'"x":"message_stop error",'
        f'"y":["finish","abort","result","response.failed"],"finish_reason":"stop"}}\n'
    ).encode()
    for events in WHOLE.values():
        assert judge([events[0], odd]) == TRUNCATED
    assert judge([odd]) == COMPLETED


# -- broken upstreams ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "outcome", "silent"),
    [
        (errors.UpstreamIdle, Outcome.STALL_UNRECOVERED, SilentKind.HUNG),
        (errors.UpstreamReset, Outcome.UPSTREAM_TRUNCATED, None),
        (errors.UpstreamRefused, Outcome.UPSTREAM_ERROR, None),
        (errors.UpstreamBadResponse, Outcome.UPSTREAM_ERROR, None),
        (errors.UpstreamNotAStream, Outcome.UPSTREAM_ERROR, None),
        (errors.InternalError, Outcome.SIDECAR_ERROR, None),
        (errors.Draining, Outcome.SIDECAR_ERROR, None),
    ],
)
def test_the_error_of_a_broken_upstream_decides_the_outcome(
    error: type[errors.SidecarError], outcome: Outcome, silent: SilentKind | None
) -> None:
    assert watch([b"data: a\n"]).broken(error) == Ending(outcome, error, silent)
    assert watch(wire_forms.OPENAI_CHAT[:2]).broken(error) == Ending(outcome, error, silent)
