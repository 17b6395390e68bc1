"""The border where the client library's exceptions end and ours begin."""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from sidecar.observability import errors

DETAIL_CHARS_MAX = 200
_quotation = re.compile(r""":?(?:\\n|\n){2}.*|\bb['"].*""", re.DOTALL)
"""Where the parser of HTTP begins to quote what it could not read: perhaps a user's answer, or a cookie."""


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn the client library's exceptions into ours; none crosses this border."""
    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ServerTimeoutError):
            raise
        raise own_error(error) from error


@functools.singledispatch
def own_error(error: BaseException) -> errors.UpstreamError:
    """Return our word for an exception of the client library or the operating system."""
    return errors.UpstreamReset(_said(error))


@own_error.register
def _(error: aiohttp.ClientConnectorDNSError) -> errors.UpstreamError:
    return errors.UpstreamUnreachable(_said(error))


@own_error.register
def _(error: aiohttp.ClientConnectorError) -> errors.UpstreamError:
    refused = isinstance(error.os_error, ConnectionRefusedError)
    return (errors.UpstreamRefused if refused else errors.UpstreamUnreachable)(_said(error))


@own_error.register
def _(error: aiohttp.ConnectionTimeoutError) -> errors.UpstreamError:
    return errors.UpstreamConnectTimeout(_said(error))


@own_error.register(ValueError)
@own_error.register(aiohttp.ClientResponseError)
def _(error: Exception) -> errors.UpstreamError:
    return errors.UpstreamBadResponse(_said(error))


@own_error.register
def _(error: aiohttp.ClientPayloadError) -> errors.UpstreamError:
    cause = error.__cause__
    malformed = isinstance(cause, HttpProcessingError) and "Not enough data" not in str(cause)
    return (errors.UpstreamBadResponse if malformed else errors.UpstreamReset)(_said(error))


def _said(error: BaseException) -> str:
    return _quotation.sub(" …", f"{type(error).__name__}: {error}")[:DETAIL_CHARS_MAX]
