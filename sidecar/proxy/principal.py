"""The principal of a request: a digest of its configured inputs."""

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Sequence

from sidecar.http1.headers import Fields, values

CAPABILITY = "capability"
"""The stream token alone is the right to read it."""

JWT_BYTES_MAX = 16 * 1024
JWT_PARTS = 3


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
    """Return the raw values of a cookie.

    ``http.cookies`` drops everything after a malformed one.
    """
    pairs = (pair.partition(b"=") for line in values(fields, b"cookie") for pair in line.split(b";"))
    return [value.strip() for key, equals, value in pairs if equals and key.strip() == name.encode()]


def _claim(name: str, fields: Fields) -> list[bytes]:
    """Return a claim of each bearer token; ``auth_check`` verifies them."""
    tokens = map(_claims, values(fields, b"authorization"))
    return [json.dumps(claims[name], sort_keys=True).encode() for claims in tokens if name in claims]


def _claims(value: bytes) -> dict[str, object]:
    """Return what a JWT says (RFC 7519); nothing if it is none."""
    scheme, _, token = value.partition(b" ")
    parts = token.strip().split(b".")
    if scheme.lower() != b"bearer" or len(parts) != JWT_PARTS or len(token) > JWT_BYTES_MAX:
        return {}
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + b"=="))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


_FIELD_OF = {"cookie": b"cookie", "jwt": b"authorization"}
_READERS = {"header": _header, "cookie": _cookie, "jwt": _claim}
