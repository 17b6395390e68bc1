"""Errors as ``application/problem+json`` (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

from sidecar.observability import errors


def told(error: type[errors.SidecarError]) -> bytes:
    """Return what a client is told of a catalogued error."""
    about = {"type": "about:blank", "title": error.message, "status": error.status, "code": error.code}
    return json.dumps(about).encode()


def problem(
    status: int, detail: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a problem; ``code`` is one of :mod:`sidecar.observability.errors`, where one fits."""
    body: dict[str, object] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"detail": detail} | ({"code": code} if code else {})
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def problem_of(
    error: type[errors.SidecarError], detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the problem of a catalogued error, told in words that fit an operator."""
    return problem(error.status, detail, code=error.code, headers=headers)
