"""The requests of a load, the backend's faults, the expected events.

A seed and a number determine everything, so that a run can be repeated. The seed in the URL determines the
words of an answer.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from sidecar.demo.answers import MODEL_DEFAULT, AiSdk, Anthropic, DemoAnswer, OpenAIChat
from sidecar.demo.faults import DemoFault
from sidecar.demo.words import tokens
from sidecar.observability.labels import Outcome

FAILURE_EVERY = 400
"""One answer of so many fails at the backend: half of what the completion objective allows."""

FAILURE_FROM = 350
"""The failing one is among the last of its ``FAILURE_EVERY``: short runs stay within the objective."""

FAILURES: dict[DemoFault, Outcome] = {
    DemoFault.RESET: Outcome.UPSTREAM_TRUNCATED,
    DemoFault.STATUS: Outcome.UPSTREAM_ERROR,
    DemoFault.TRUNCATE: Outcome.UPSTREAM_TRUNCATED,
    DemoFault.ERROR: Outcome.UPSTREAM_ERROR,
    DemoFault.NO_TERMINAL: Outcome.UPSTREAM_TRUNCATED,
    DemoFault.STALL: Outcome.STALL_UNRECOVERED,
    DemoFault.EMPTY: Outcome.UPSTREAM_TRUNCATED,
}
"""What the backend really loses, in turn, and what the sidecar calls it; STATUS begins no stream at all."""

STALL_SHARE = 0.03
"""Of the answers: the backend is silent in the middle, and then goes on."""

FORMS = (DemoFault.CRLF, DemoFault.CR, DemoFault.BOM)
FORM_SHARE = 0.05
"""Of the answers: other line ends, or a byte order mark."""

TOKENS = (20, 36)
MESSAGES = [{"role": "user", "content": "Tell me about trains."}]
_volatile = re.compile(r'"(?:id|created|messageId)":(?:"[^"]*"|\d+),?')


@dataclass(frozen=True, slots=True)
class RequestStyle:
    """A way to ask: where, and how the answer looks."""

    path: str
    answer: Callable[[], DemoAnswer]
    share: float


FAMILIES = (
    RequestStyle("/v1/chat/completions", partial(OpenAIChat, MODEL_DEFAULT, str(MESSAGES)), 0.5),
    RequestStyle("/v1/messages", partial(Anthropic, MODEL_DEFAULT, str(MESSAGES)), 0.3),
    RequestStyle("/api/ai-sdk", partial(AiSdk, MODEL_DEFAULT, str(MESSAGES)), 0.2),
)


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of the backend and the length of its stalls, in s."""

    interval_s: float
    stall_s: float


@dataclass(frozen=True, slots=True)
class UserDialogue:
    """One request and its answer; the backend has ``fault`` at ``at``."""

    number: int
    family: RequestStyle
    tokens: int
    pace: Pace
    seed: str
    fault: DemoFault | None
    at: int

    @property
    def fails(self) -> bool:
        """Whether the backend does not bring the answer to its end."""
        return self.fault in FAILURES and not self.recovers

    @property
    def recovers(self) -> bool:
        """Whether it stalls, and goes on."""
        return self.fault is DemoFault.STALL and self.number % FAILURE_EVERY < FAILURE_FROM

    @property
    def outcome(self) -> Outcome:
        """Return the outcome, if the user neither cancels nor leaves."""
        return FAILURES[self.fault] if self.fails and self.fault else Outcome.COMPLETED

    @property
    def least_s(self) -> float:
        """How long the whole answer takes the backend at least."""
        return self.tokens * self.pace.interval_s + (self.pace.stall_s if self.recovers else 0)

    @property
    def target(self) -> str:
        """Path and query of the request."""
        query: dict[str, Any] = {
            "n": self.tokens,
            "interval_ms": round(self.pace.interval_s * 1000),
            "seed": self.seed,
        }
        if self.fault is not None:
            query |= {"fault": self.fault, "at": self.at}
        if self.recovers:
            query["stall_s"] = round(self.pace.stall_s)
        return f"{self.family.path}?{urlencode(query)}"

    @property
    def body(self) -> bytes:
        """What is sent: all three protocols take it."""
        return json.dumps({"stream": True, "messages": MESSAGES}).encode()

    def truth(self) -> list[str]:
        """Return the content of every event of the answer, in order."""
        whole = list(self._whole())
        if not self.fails:
            return whole
        if self.fault in (DemoFault.EMPTY, DemoFault.STATUS):
            return []
        if self.fault is DemoFault.NO_TERMINAL:
            return whole[: -len(list(self.family.answer().terminal()))]
        return whole[: self.at]

    def _whole(self) -> Iterator[str]:
        answer = self.family.answer()
        words = map(answer.write, tokens(self.seed, self.tokens))
        for block in chain(answer.opening(), words, answer.finished(), answer.terminal()):
            yield _content_of_block(block.decode())


def content(kind: str, data: str) -> str:
    """Return the part that repeats of an event: type and data, no ids."""
    return f"{kind} {_volatile.sub('', data)}"


def _content_of_block(block: str) -> str:
    fields = dict(line.split(": ", 1) for line in block.splitlines() if line)
    return content(fields.get("event", "message"), fields["data"])


def draw(number: int, seed: int, pace: Pace) -> tuple[UserDialogue, random.Random]:
    """Make request ``number`` of a run; return its random source too."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - a load, no secret
    (family,) = chance.choices(FAMILIES, [each.share for each in FAMILIES])
    length = chance.randint(*TOKENS)
    fault = _fault(number, seed, chance)
    return UserDialogue(number, family, length, pace, f"{seed}-{number}", fault, length // 2), chance


def _fault(number: int, seed: int, chance: random.Random) -> DemoFault | None:
    cycle, at = divmod(number, FAILURE_EVERY)
    if at >= FAILURE_FROM:
        drawn = random.Random(f"{seed}/failure {cycle}")  # noqa: S311 - a load, no secret
        if at == drawn.randrange(FAILURE_FROM, FAILURE_EVERY):
            return [*FAILURES][cycle % len(FAILURES)]
    elif chance.random() < STALL_SHARE:
        return DemoFault.STALL
    return chance.choice(FORMS) if chance.random() < FORM_SHARE else None
