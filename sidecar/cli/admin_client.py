"""A client of the admin listener, for the commands."""

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

ADMIN_URL_DEFAULT = "http://127.0.0.1:9464"
TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 16 * 1024 * 1024

ADVICE = {
    HTTPStatus.UNAUTHORIZED: "it asks for the token of the setting admin_token: give --token or set "
    "SSE_SIDECAR_ADMIN_TOKEN",
    HTTPStatus.NOT_FOUND: "no such stream is held: its retention may be over; `sse-sidecar streams ls` lists "
    "those that are",
    HTTPStatus.MISDIRECTED_REQUEST: "it answers to localhost, 127.0.0.1 and [::1] only: name one of them in "
    "--admin",
}


class AdminError(Exception):
    """The listener did not answer; the message names the next step.

    ``status`` is what it answered; None: it did not answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class AdminClient:
    """One admin listener, by its base URL.

    It uses no proxy and follows no redirect, since neither may see the token.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        """Take the base URL; ValueError if it is none."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// URL")
        self._url = url
        self._base = parts.path.rstrip("/")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._address = (parts.hostname, parts.port)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, target: str) -> Any:  # noqa: ANN401 - whatever JSON the resource is
        """Return the JSON of a resource; AdminError if there is none."""
        body = self._ask("GET", target)
        try:
            return json.loads(body)
        except ValueError:
            raise AdminError(f"{self._url} does not answer with JSON: is it the admin listener?") from None

    def read(self, target: str) -> bytes:
        """Return a resource, also with status 503; raise AdminError if none."""
        return self._ask("GET", target, also=HTTPStatus.SERVICE_UNAVAILABLE)

    def post(self, target: str) -> None:
        """Have something done; AdminError if it was not."""
        self._ask("POST", target)

    def _ask(self, method: str, target: str, also: HTTPStatus | None = None) -> bytes:
        connection = self._kind(*self._address, timeout=TIMEOUT_S)
        try:
            connection.request(method, self._base + target, headers=self._headers)
            response = connection.getresponse()
            body = response.read(ANSWER_BYTES_MAX)
        except (OSError, HTTPException) as error:
            raise AdminError(self._unreachable(error)) from None
        finally:
            connection.close()
        if response.status >= HTTPStatus.MULTIPLE_CHOICES and response.status != also:
            raise AdminError(self._refused(response.status, body), response.status)
        return body

    def _unreachable(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return (
            f"cannot reach the admin listener at {self._url}: {reason}. Is the sidecar running? Its setting "
            "admin_listen says where it answers; name that with --admin"
        )

    def _refused(self, status: int, body: bytes) -> str:
        advice = ADVICE.get(HTTPStatus(status)) if status in set(HTTPStatus) else None
        return f"{self._url} answered {status}: {advice or _told(body)}"


def _told(body: bytes) -> str:
    """Return what a problem+json says (RFC 9457)."""
    try:
        problem = json.loads(body)
    except ValueError:
        return "and says no more"
    return str(problem.get("detail", "and says no more")) if isinstance(problem, dict) else "and says no more"
