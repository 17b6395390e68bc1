"""The example of docs/add-a-provider.md runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.observability.labels import Outcome
from sidecar.sse.framing import Framer
from sidecar.sse.json_events import object_of
from sidecar.sse.protocols import registry
from sidecar.sse.protocols.provider import Provider
from sidecar.sse.verdict import StreamVerdict

PAGE = (Path(__file__).parents[4] / "docs" / "add-a-provider.md").read_text()
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RESPONSE = re.findall(r"^```\n(event: .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(name="cohere")
def _cohere() -> Provider:
    names: dict[str, Any] = {"__name__": "example"}
    for block in CODE:
        exec(block, names)
    provider = names["provider"]
    assert isinstance(provider, Provider)
    return provider


def test_the_page_has_a_class_a_test_and_a_response() -> None:
    assert (len(CODE), len(RESPONSE)) == (2, 1)


def test_no_other_provider_detects_the_example(cohere: Provider) -> None:
    first = Framer().feed(RESPONSE[0].encode())[0]
    assert cohere.detect(object_of(first))
    assert registry.detect(first) is None


def test_the_example_completes_only_with_its_terminal(
    cohere: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PROVIDERS", (*registry.PROVIDERS, cohere))
    events = Framer().feed(RESPONSE[0].encode())
    outcomes = []
    for count in range(1, len(events) + 1):
        verdict = StreamVerdict()
        for event in events[:count]:
            verdict.observe(event)
        assert verdict.family == "cohere"
        outcomes.append(verdict.ending(events=count).outcome)
    assert outcomes == [Outcome.UPSTREAM_TRUNCATED, Outcome.UPSTREAM_TRUNCATED, Outcome.COMPLETED]
