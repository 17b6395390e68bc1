"""The auth check: ask the backend whether a login is still valid.

It works like nginx's ``auth_request`` and precedes every replay.
"""

from collections.abc import Sequence

from sidecar.http1.upstream.client import OutgoingRequest, Upstream
from sidecar.observability import errors
from sidecar.proxy.client_request import ClientRequest

AUTH_CHECK_S_MAX = 5.0
_CREDENTIALS = frozenset({b"authorization", b"cookie", b"host", b"x-forwarded-for"})


class AuthCheck:
    """The check of the setting ``auth_check``.

    Without the setting, every verified principal may resume.
    """

    def __init__(self, upstream: Upstream | None, target: bytes, inputs: Sequence[bytes]) -> None:
        """Check at ``target``, with the credentials and the fields ``inputs``."""
        self._upstream = upstream
        self._target = target
        self._crossing = _CREDENTIALS | set(inputs)

    async def check(self, request: ClientRequest) -> None:
        """Raise StreamNotFound if the login is no longer valid.

        Raises AuthorizationUnavailable if the check gets no answer.
        """
        if self._upstream is None:
            return
        fields = [field for field in request.fields if field[0] in self._crossing]
        fields += [(b"x-original-method", request.method.encode()), (b"x-original-uri", request.target)]
        outgoing = OutgoingRequest(
            "GET",
            self._target,
            fields,
            connect_timeout_s=AUTH_CHECK_S_MAX,
            first_byte_timeout_s=AUTH_CHECK_S_MAX,
        )
        try:
            response = await self._upstream.request(outgoing)
        except errors.UpstreamError as error:
            raise errors.AuthorizationUnavailable(error.detail) from error
        response.close()
        if response.status >= 500:  # noqa: PLR2004 - RFC 9110 section 15.6
            raise errors.AuthorizationUnavailable(f"status {response.status}")
        if not 200 <= response.status < 300:  # noqa: PLR2004 - RFC 9110 section 15.3
            raise errors.StreamNotFound
