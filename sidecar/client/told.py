"""Control events in a stream: gaps, ends and errors."""

import json

from sidecar.client.course import ConnectionLoss
from sidecar.client.event_parser import Event
from sidecar.client.state import Gap

GAP = "sse-gap"
END = "sse-end"
ERROR = "sse-error"
OWN_EVENTS = frozenset({GAP, END, ERROR})
"""The sidecar's words to the client: no part of the answer, so never handed on and never counted."""


def gap_of(event: Event) -> Gap:
    """Read ``sse-gap``; what is missing or of a wrong type counts as unknown."""
    said = _object(event.data)
    start, through = said.get("missed_from"), said.get("missed_through")
    return Gap(
        start if isinstance(start, int) else 1,
        through if isinstance(through, int) else None,
        str(said.get("reason", "")),
    )


def last_seq_of(event: Event) -> int:
    """Read the last seq of ``sse-end``; 0 if it says none."""
    last_seq = _object(event.data).get("last_seq")
    return last_seq if isinstance(last_seq, int) else 0


def failure_of(event: Event) -> ConnectionLoss | None:
    """Return the error of an error event, or None.

    It reads the forms of the sidecar, OpenAI, Anthropic, the AI SDK and Google.

    Whether the stream has failed shows what follows: an endless feed may go on after one.
    """
    if '"error' not in event.data and event.type not in (ERROR, "error"):
        return None
    said = _object(event.data)
    if "jsonrpc" in said:
        return None
    error = said.get("error") or said.get("errorText")
    if not error and event.type not in (ERROR, "error"):
        return None
    if isinstance(error, dict):
        return ConnectionLoss(_text(error.get("message")), code=_code(error) or _word(said.get("code")))
    return ConnectionLoss(_text(error or said.get("message")), code=_word(said.get("code")))


def _text(message: object) -> str:
    return message if isinstance(message, str) and message else "The server reported an error."


def _code(error: dict[str, object]) -> str:
    details = error.get("details")
    if isinstance(details, list) and details and isinstance(details[0], dict):
        return _word(details[0].get("reason"))
    return _word(error.get("code")) or _word(error.get("type"))


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(data: str) -> dict[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
