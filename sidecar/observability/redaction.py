"""What never reaches a log: query values, credentials in URLs, and the values of most headers."""

import re
from collections.abc import Iterable, Mapping

MARK = "…"

HEADERS_SHOWN = frozenset(
    {
        "accept",
        "accept-encoding",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "sse-stream",
        "traceparent",
        "transfer-encoding",
        "user-agent",
        "via",
    }
)
"""Header fields whose values are known to hold no credential; every other value is replaced."""

SECRET_KEY = re.compile(
    r"auth|cookie|credential|password|passwd|secret|token|api_?key|principal|signature",
    re.IGNORECASE,
)
"""Names under which a log line may carry a credential."""

_USER_INFO = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*@")
_URL_IN_TEXT = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>]+")


def redact(target: str) -> str:
    """Return a request target or URL with the values of its query and its user information replaced."""
    rest, _, fragment = target.partition("#")
    path, mark, query = rest.partition("?")
    path = _USER_INFO.sub(lambda match: f"{match[1] or ''}//{MARK}@", path)
    return f"{path}{mark}{_redact_query(query)}" + (f"#{MARK}" if fragment else "")


def redact_text(text: str) -> str:
    """Return a text in which every URL is redacted."""
    return _URL_IN_TEXT.sub(lambda match: redact(match[0]), text) if "://" in text else text


def redact_headers(headers: Iterable[tuple[str, str]] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Return header fields in order, with the value of each replaced unless it is known to be harmless."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name, value if name.lower() in HEADERS_SHOWN else MARK) for name, value in pairs]


def _redact_query(query: str) -> str:
    """Keep the names, which say what was asked; a part without ``=`` may itself be a token."""
    parts = (part.partition("=") for part in query.split("&")) if query else ()
    return "&".join(f"{name}={MARK}" if equals else MARK for name, equals, _ in parts)
