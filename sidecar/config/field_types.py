"""The written forms of text settings, and what each allows."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from sidecar.config.routes import CANARY_ROUTE

SECRET_CHARS_MIN = 32
TEXT_CHARS_MAX = 2048
ORIGINS_MAX = 64
PRINCIPAL_INPUTS_MAX = 8
METHODS_MAX = 16
WILDCARDS_MAX = 4
"""Stars in one path pattern: matching backtracks, so its cost on a hostile path grows with their number."""

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"  # noqa: S105 - RFC 9110 section 5.6.2 calls it a token
HOST_NAME = r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?"
PRINTABLE = r"[\x21-\x7e]+"
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Allowed:
    """The allowed values as text, an annotation for docs and messages."""

    allowed: str


def split_list(value: object) -> object:
    """Accept a comma-separated text as a list, for variables and flags."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, or raise ValueError.

    An IPv6 host is in brackets.
    """
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 0xFFFF:  # noqa: PLR2004 - 16 bits
        raise ValueError("no port")
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    if not re.fullmatch(HOST_NAME, host):
        raise ValueError("no host")
    return host, int(port)


def _address(text: str) -> str:
    parse_address(text)
    return text


def _split_url(text: str) -> SplitResult:
    """Split an http(s) URL with a plain host, or raise ValueError."""
    if len(text) > TEXT_CHARS_MAX or not re.fullmatch(PRINTABLE, text):
        raise ValueError("not printable ASCII")
    parts = urlsplit(text)
    host_ok = parts.hostname and (re.fullmatch(HOST_NAME, parts.hostname) or ":" in parts.hostname)
    if parts.scheme not in DEFAULT_PORTS or not host_ok or "@" in parts.netloc or parts.port == 0:
        raise ValueError("not a plain http URL")
    return parts


def _base_url(text: str) -> str:
    """Return a URL without query, fragment and last slash."""
    parts = _split_url(text)
    if "?" in text or "#" in text:
        raise ValueError("query or fragment")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _check_url(text: str) -> str:
    _split_url(text)
    if "#" in text:
        raise ValueError("fragment")
    return text


def _origin(text: str) -> str:
    """Return an origin as browsers write it (RFC 6454 section 6.2)."""
    parts = _split_url(text)
    if parts.path or "?" in text or "#" in text:
        raise ValueError("more than an origin")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _reserved_prefix(text: str) -> str:
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+){1,8}", text) or len(text) > TEXT_CHARS_MAX:
        raise ValueError("not a plain path")
    return text


def _path_pattern(text: str) -> str:
    if not re.fullmatch(r"/[\x21-\x7e]*", text) or re.search("[?#]", text) or len(text) > TEXT_CHARS_MAX:
        raise ValueError("not a path")
    if text.count("*") > WILDCARDS_MAX:
        raise ValueError("too many wildcards")
    return text


def _route_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,32}", text) or text == CANARY_ROUTE:
        raise ValueError("not a name")
    return text


def _literal(text: str) -> str:
    if not 0 < len(text) <= 256 or not text.isprintable() or text != text.strip():  # noqa: PLR2004
        raise ValueError("not one line")
    return text


def _methods(values: Sequence[str]) -> tuple[str, ...]:
    if len(values) > METHODS_MAX or not all(re.fullmatch(TOKEN, v) and v == v.upper() for v in values):
        raise ValueError("not methods")
    return tuple(dict.fromkeys(values))


def _origins(values: Sequence[str]) -> tuple[str, ...]:
    if len(values) > ORIGINS_MAX:
        raise ValueError("too many")
    return tuple(dict.fromkeys(_origin(value) for value in values))


def _principal_input(text: str) -> str:
    source, _, name = text.partition(":")
    claim_ok = source == "jwt" and re.fullmatch(r"[A-Za-z0-9_.:/-]{1,128}", name)
    if not claim_ok and not (source in {"header", "cookie"} and re.fullmatch(TOKEN, name)):
        raise ValueError("not an input")
    return f"header:{name.lower()}" if source == "header" else text


def _principal(values: Sequence[str]) -> tuple[str, ...]:
    if tuple(values) == ("capability",):
        return ("capability",)
    if not 0 < len(values) <= PRINCIPAL_INPUTS_MAX:
        raise ValueError("too few or too many")
    return tuple(dict.fromkeys(_principal_input(value) for value in values))


def _secret_key(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not SECRET_CHARS_MIN <= len(value.get_secret_value()) <= TEXT_CHARS_MAX:
        raise ValueError("too short or too long")
    return value


def _token(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not re.fullmatch(r"[\x21-\x7e]{1,2048}", value.get_secret_value()):
        raise ValueError("not a token")
    return value


def _maybe_base_url(text: str | None) -> str | None:
    return None if text is None else _base_url(text)


def _maybe_url(text: str | None) -> str | None:
    return None if text is None else _check_url(text)


Address = Annotated[
    str,
    AfterValidator(_address),
    Allowed("host:port with a port from 0 (any free one) to 65535, IPv6 as [::1]:8080"),
]
BaseUrl = Annotated[
    str,
    AfterValidator(_base_url),
    Allowed("an http:// or https:// URL with a host, without user, query and fragment"),
]
MaybeBaseUrl = Annotated[
    str | None,
    AfterValidator(_maybe_base_url),
    Allowed("an http:// or https:// URL with a host, without user, query and fragment"),
]
MaybeUrl = Annotated[
    str | None,
    AfterValidator(_maybe_url),
    Allowed("an http:// or https:// URL with a host, without user and fragment"),
]
SecretKey = Annotated[
    SecretStr | None,
    AfterValidator(_secret_key),
    Allowed(f"{SECRET_CHARS_MIN} to {TEXT_CHARS_MAX} characters"),
]
AccessToken = Annotated[
    SecretStr | None,
    AfterValidator(_token),
    Allowed(f"1 to {TEXT_CHARS_MAX} printable ASCII characters without a space"),
]
ReservedPrefix = Annotated[
    str,
    AfterValidator(_reserved_prefix),
    Allowed("a path that begins with / and does not end with it, of letters, digits and . _ ~ -"),
]
PathPattern = Annotated[
    str,
    AfterValidator(_path_pattern),
    Allowed(f"a path that begins with /, percent-encoded, with up to {WILDCARDS_MAX} stars and no query"),
]
RouteName = Annotated[
    str,
    AfterValidator(_route_name),
    Allowed(f"1 to 32 lower-case letters, digits, - and _; each name once, not `{CANARY_ROUTE}`"),
]
Ending = Annotated[
    str,
    AfterValidator(_literal),
    Allowed("auto, eof, or the name or the data of the last event, on one line of at most 256 characters"),
]
Methods = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_methods),
    Allowed(f"up to {METHODS_MAX} upper-case methods; none means every method"),
]
Origins = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_origins),
    Allowed(f"up to {ORIGINS_MAX} origins such as https://chat.example.com"),
]
Principal = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_principal),
    Allowed(f"1 to {PRINCIPAL_INPUTS_MAX} of header:<name>, cookie:<name>, jwt:<claim>; or capability alone"),
]
