"""The failure event of each provider, and a second sidecar that reads it."""

import pytest

from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.sse.protocols.provider import ERROR_SIGN, Provider
from sidecar.sse.verdict import StreamVerdict
from tests.unit.sse.protocols.examples import ALL, COMPLETE

OPENAI = (
    b'data: {"error":{"message":"%s","type":"server_error","param":null,'
    b'"code":"err-sidecar-upstream-idle"}}\n'
)
SIDECAR = (
    b'event: sse-error\ndata: {"error":{"code":"err-sidecar-upstream-idle","message":"%s","retryable":true},'
    b'"stream":"s1x"}\n'
)
EVENTS = {
    "openai-chat": OPENAI,
    "openai-responses": (
        b'event: error\ndata: {"type":"error","error":{"message":"%s","type":"server_error","param":null,'
        b'"code":"err-sidecar-upstream-idle"}}\n'
    ),
    "anthropic": (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"%s"},'
        b'"code":"err-sidecar-upstream-idle"}\n'
    ),
    "ai-sdk": OPENAI,
    "google": (
        b'data: {"error":{"code":503,"message":"%s","status":"UNAVAILABLE",'
        b'"details":[{"reason":"err-sidecar-upstream-idle"}]}}\n'
    ),
    "mcp": SIDECAR,
    "unknown": SIDECAR,
}

BEFORE = {name: events[:1] for name, events in COMPLETE.items() if name != "mcp"}
"""What the second sidecar has seen before. An MCP stream is not in it: its errors are responses."""


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.name)
def test_a_failure_event_has_the_form_of_its_provider(provider: Provider) -> None:
    expected = EVENTS[provider.name] % errors.UpstreamIdle.message.encode()
    assert provider.failure_event(errors.UpstreamIdle, "s1x") == expected


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.name)
@pytest.mark.parametrize("error", errors.every_error())
def test_a_second_sidecar_detects_a_failure_event(
    provider: Provider, error: type[errors.SidecarError]
) -> None:
    failure = provider.failure_event(error, "s1x")
    assert b"[DONE]" not in failure
    for before in ([], BEFORE.get(provider.name, [])):
        verdict = StreamVerdict()
        for event in [*before, failure]:
            verdict.observe(event)
        ending = verdict.ending(events=1)
        assert (ending.outcome, ending.told) == (Outcome.UPSTREAM_ERROR, True)


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.name)
def test_a_failure_event_contains_the_error_sign(provider: Provider) -> None:
    assert ERROR_SIGN in provider.failure_event(errors.UpstreamIdle, "s1x")
