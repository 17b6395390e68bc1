"""Classify response heads, and find the wrong ones."""

from enum import Enum, auto
from typing import TYPE_CHECKING

from tests.kit.response import Response
from tests.soak.process import RETAIN_S

if TYPE_CHECKING:
    from tests.soak.reader import SoakReader

NOT_NOW = frozenset({502, 503, 504})
SOON_RATIO = 0.8
"""A stream that is over, and gone after less than this share of its retention, has gone too soon."""


class Decision(Enum):
    """What to do."""

    STREAM = auto()
    NOTHING_MORE = auto()
    GONE = auto()
    AGAIN = auto()
    WRONG = auto()


def judged(reader: "SoakReader", response: Response) -> tuple[Decision, str]:
    """Judge an answer; the words say what was answered to what."""
    asked = f"asked for {'the rest of ' + reader.stream if reader.stream else 'an answer'}"
    words = f"{asked} after {reader.away_s:.1f} s and got {response!r}"
    return _verdict(reader, response), words


def _verdict(reader: "SoakReader", response: Response) -> Decision:
    status, token = response.status, response.header("SSE-Stream")
    if status == 200 and token:
        return _of_stream(reader, response, token)
    if status == 200:
        # A process that drains sends EventSources away in this form.
        return Decision.AGAIN if response.header("Content-Type") == "text/event-stream" else Decision.WRONG
    if status == 204 and reader.position:
        return Decision.NOTHING_MORE
    if status in {404, 410} and reader.stream:
        return Decision.GONE if _may_be_gone(reader, status) else Decision.WRONG
    if status in NOT_NOW and _is_allowed(reader, response):
        return Decision.AGAIN
    return Decision.WRONG


def _of_stream(reader: "SoakReader", response: Response, token: str) -> Decision:
    """Only a live feed gives another stream than was asked for, and only if that one is gone."""
    if not response.header("X-Generation"):
        return Decision.WRONG
    if not reader.stream or token == reader.stream:
        return Decision.STREAM
    return Decision.STREAM if reader.visit.path == "/live" and _may_be_gone(reader, 410) else Decision.WRONG


def _may_be_gone(reader: "SoakReader", status: int) -> bool:
    """Tell whether a stream can be unknown: by its secret (404), or because it is not kept any more (410)."""
    life = reader.stand.sidecar_of(reader.visit).life
    if reader.life is not None and life.number != reader.life.number:
        return status == 410 or life.secret != reader.life.secret
    over_for_s = reader.stand.backend.over_for_s(reader.generation)
    return status == 410 and over_for_s >= RETAIN_S * SOON_RATIO


def _is_allowed(reader: "SoakReader", response: Response) -> bool:
    """Tell whether this is an answer of the sidecar's or the backend's to somebody who may ask it."""
    if response.header("X-Backend"):
        return response.status == 503 and not (reader.stream and reader.visit.path != "/live")
    is_resume = bool(reader.stream) and reader.visit.path != "/live"
    return response.header("Content-Type") == "application/problem+json" and (
        response.status == 503 or not is_resume
    )
