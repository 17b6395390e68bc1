"""Whose stream is it: a fingerprint over the configured inputs of a request."""

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie

from sidecar.headers import Fields, values

CAPABILITY = "capability"
"""The stream token alone is the right to read it."""

JWT_BYTES_MAX = 16 * 1024


def fingerprint(inputs: Sequence[str], fields: Fields) -> bytes:
    """Return 32 bytes that are equal for requests of one principal.

    ``inputs`` are those of the setting ``principal``: ``header:<name>``, ``cookie:<name>``, ``jwt:<claim>``,
    or ``capability`` alone. An absent input counts as such: requests without credentials share one principal.
    """
    digest = hashlib.sha256()
    for source in inputs:
        kind, _, name = source.partition(":")
        found = [] if kind == CAPABILITY else _READERS[kind](name, fields)
        digest.update(b"%d;" % len(found))
        for value in found:
            digest.update(b"%d:%b" % (len(value), value))
    return digest.digest()


def vary(inputs: Sequence[str]) -> list[bytes]:
    """Return the request fields that the fingerprint depends on, for ``Vary``."""
    found = []
    for kind, _, name in (source.partition(":") for source in inputs):
        if kind == "header":
            found.append(name.lower().encode())
        elif kind != CAPABILITY:
            found.append(_FIELD_OF[kind])
    return list(dict.fromkeys(found))


def _header(name: str, fields: Fields) -> list[bytes]:
    return values(fields, name.lower().encode())


def _cookie(name: str, fields: Fields) -> list[bytes]:
    found = []
    for line in values(fields, b"cookie"):
        try:
            cookies = SimpleCookie(line.decode("latin-1"))
        except CookieError:
            continue
        if name in cookies:
            found.append(cookies[name].value.encode("latin-1"))
    return found


def _claim(name: str, fields: Fields) -> list[bytes]:
    """Return a claim of the bearer token; its signature is for ``auth_check`` to judge, not for us."""
    for value in values(fields, b"authorization"):
        scheme, _, token = value.partition(b" ")
        parts = token.strip().split(b".")
        if scheme.lower() != b"bearer" or len(parts) != 3 or len(token) > JWT_BYTES_MAX:  # noqa: PLR2004 - RFC 7519
            continue
        try:
            claims = json.loads(urlsafe_b64decode(parts[1] + b"=="))
        except (ValueError, RecursionError):
            continue
        if isinstance(claims, dict) and name in claims:
            return [json.dumps(claims[name], sort_keys=True).encode()]
    return []


_FIELD_OF = {"cookie": b"cookie", "jwt": b"authorization"}
_READERS = {"header": _header, "cookie": _cookie, "jwt": _claim}
