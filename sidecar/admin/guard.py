"""Access to the admin listener, as an ASGI middleware."""

import hmac
import ipaddress
import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sidecar.admin.page_files import is_page
from sidecar.http1.problem import problem_of
from sidecar.http1.same_origin import is_same_origin
from sidecar.observability import errors

OPEN_PATHS = frozenset({"/livez"})
"""What needs no token: a liveness probe that cannot log in would kill the process it asks about."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="sse-sidecar admin"'}

_host_form = re.compile(r"(\[[0-9a-f:.]*\]|[^:]*)(?::\d*)?")


class Guard:
    """Checks Host, bearer token and origin, in that order.

    ``host`` is the address the listener is bound to. On loopback only loopback names are served: any web
    page can point a name of its own at 127.0.0.1 and read what answers there (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, token: str | None, host: str) -> None:
        self._app = app
        self._token = token.encode() if token else None
        self._hosts = LOOPBACK_HOSTS | {_bracketed(host)} if _is_loopback(host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what may not pass, and pass on the rest."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if self._hosts is not None and not self._is_ours(headers.getlist("host")):
            return problem_of(errors.AdminMisdirected, errors.AdminMisdirected.message)
        open_to_all = scope["path"] in OPEN_PATHS or is_page(scope)
        if not open_to_all and not self._knows(headers.get("authorization", "")):
            return problem_of(errors.AdminUnauthorized, errors.AdminUnauthorized.message, CHALLENGE)
        if scope["method"] not in SAFE_METHODS and not _from_here(headers):
            return problem_of(errors.CrossSite, "This came from another site's page, so it is refused.")
        return None

    def _is_ours(self, hosts: list[str]) -> bool:
        names = [match[1] if (match := _host_form.fullmatch(host.lower())) else "" for host in hosts]
        return bool(names) and set(names) <= (self._hosts or set())

    def _knows(self, authorization: str) -> bool:
        if self._token is None:
            return True
        scheme, _, credentials = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            credentials.strip().encode("latin-1"), self._token
        )


def _from_here(headers: Headers) -> bool:
    origin, site, host = (headers.get(name) for name in ("origin", "sec-fetch-site", "host"))
    return is_same_origin(origin=origin, site=site, host=host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()
