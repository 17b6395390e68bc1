"""Remove query values, credentials and most header values from logs."""

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
"""Header fields whose values contain no credential. All other values are replaced."""

SECRET_KEY = re.compile(
    r"auth|cookie|credential|password|passwd|secret|token|api_?key|principal|signature",
    re.IGNORECASE,
)
"""Names under which a log line may carry a credential."""

_USER_INFO = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*@")
_URL_IN_TEXT = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>]+")


def redact(target: str) -> str:
    """Return a target or URL without query values and user information."""
    rest, _, fragment = target.partition("#")
    path, mark, query = rest.partition("?")
    path = _USER_INFO.sub(lambda match: f"{match[1] or ''}//{MARK}@", path)
    return f"{path}{mark}{_redact_query(query)}" + (f"#{MARK}" if fragment else "")


def redact_text(text: str) -> str:
    """Return a text in which every URL is redacted."""
    return _URL_IN_TEXT.sub(lambda match: redact(match[0]), text) if "://" in text else text


def redact_headers(headers: Iterable[tuple[str, str]] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Return header fields in order; only harmless ones keep their value."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name, value if name.lower() in HEADERS_SHOWN else MARK) for name, value in pairs]


def _redact_query(query: str) -> str:
    """Return a query with its names only.

    A part without ``=`` may be a token, so it has no name.
    """
    parts = (part.partition("=") for part in query.split("&")) if query else ()
    return "&".join(f"{name}={MARK}" if equals else MARK for name, equals, _ in parts)
