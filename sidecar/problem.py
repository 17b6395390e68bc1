"""The admin listener's errors as ``application/problem+json`` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

from sidecar import errors


def problem(
    status: int, detail: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a problem; ``code`` is one of the catalogue in :mod:`sidecar.errors`, where one fits."""
    body: dict[str, object] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"detail": detail} | ({"code": code} if code else {})
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def problem_of(
    error: type[errors.SidecarError], detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the problem of a catalogued error, told in words that fit an operator."""
    return problem(error.status, detail, code=error.code, headers=headers)
