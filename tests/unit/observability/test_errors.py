"""Each error has a code, a message, a cause and a remedy."""

import re
from http import HTTPStatus

import pytest

from sidecar.config.table import ROUTE_SETTINGS, SETTINGS
from sidecar.observability.errors import (
    NotResumable,
    RequestError,
    SidecarError,
    UpstreamError,
    UpstreamReset,
    every_error,
)
from sidecar.sse.framing import EVENT_BYTES_MAX

ERRORS = every_error()

PROXY_ERROR_TYPES = {
    *[
        "dns_timeout",
        "dns_error",
        "destination_not_found",
        "destination_unavailable",
        "destination_ip_prohibited",
    ],
    *["destination_ip_unroutable", "connection_refused", "connection_terminated", "connection_timeout"],
    *[
        "connection_read_timeout",
        "connection_write_timeout",
        "connection_limit_reached",
        "tls_protocol_error",
    ],
    *["tls_certificate_error", "tls_alert_received", "http_request_error", "http_request_denied"],
    *["http_response_incomplete", "http_response_header_section_size", "http_response_header_size"],
    *["http_response_body_size", "http_response_trailer_section_size", "http_response_trailer_size"],
    *["http_response_transfer_coding", "http_response_content_coding", "http_response_timeout"],
    *["http_upgrade_failed", "http_protocol_error", "proxy_internal_response", "proxy_internal_error"],
    *["proxy_configuration_error", "proxy_loop_detected"],
}
"""RFC 9209 section 2.3."""

WORDS_IN_CODE_STYLE = {
    "Last-Event-ID",
    "Idempotency-Key",
    "Origin",
    "Sec-Fetch-Site",
    "Authorization",
    "Host",
}


def test_every_class_has_a_code_of_its_own() -> None:
    codes = [error.code for error in ERRORS]
    assert len(set(codes)) == len(codes)
    assert [code for code in codes if not re.fullmatch(r"err-sidecar-[a-z0-9]+(-[a-z0-9]+)*", code)] == []


def test_every_error_is_listed_once_general_before_special() -> None:
    assert len(set(ERRORS)) == len(ERRORS)
    assert SidecarError not in ERRORS
    for error in ERRORS:
        for base in error.__mro__[1:]:
            assert base not in ERRORS or ERRORS.index(base) < ERRORS.index(error)


@pytest.mark.parametrize("error", ERRORS)
def test_every_class_says_what_happened_why_and_what_to_do(error: type[SidecarError]) -> None:
    for text in (error.message, error.cause, error.remedy):
        assert re.fullmatch(r"[A-Z`].*[.]", text), text
    own = vars(error)
    assert {"code", "message", "cause", "remedy"} <= set(own), "inherited words fit another error"
    assert error.__doc__


@pytest.mark.parametrize("error", ERRORS)
def test_the_status_and_the_proxy_error_are_registered(error: type[SidecarError]) -> None:
    assert HTTPStatus(error.status) >= HTTPStatus.BAD_REQUEST
    assert error.proxy_error is None or error.proxy_error in PROXY_ERROR_TYPES


@pytest.mark.parametrize("error", ERRORS)
def test_the_status_says_whose_fault_it_is(error: type[SidecarError]) -> None:
    if issubclass(error, UpstreamError):
        assert error.status in {502, 504}
        assert error.proxy_error is not None, "a gateway error names its kind to other proxies"
    elif issubclass(error, RequestError):
        assert error.status < 500 or error.status in {501, 508}


@pytest.mark.parametrize("error", ERRORS)
def test_a_client_is_told_to_try_again_exactly_if_that_may_help(error: type[SidecarError]) -> None:
    assert ("try again" in error.message.lower()) == error.retryable


@pytest.mark.parametrize("error", ERRORS)
def test_what_a_client_reads_names_no_setting_and_no_inside(error: type[SidecarError]) -> None:
    assert "`" not in error.message
    assert "_" not in error.message


@pytest.mark.parametrize("error", ERRORS)
def test_a_remedy_names_only_settings_that_exist(error: type[SidecarError]) -> None:
    known = {row.name for row in (*SETTINGS, *ROUTE_SETTINGS)}
    named = re.findall(r"`([a-z]+(?:_[a-z]+)*)(?:: [a-z]+)?`", f"{error.cause} {error.remedy}")
    assert set(named) <= known


def test_the_size_in_the_words_is_the_size_in_the_code() -> None:
    assert f"{EVENT_BYTES_MAX // 1024 // 1024} MiB" in NotResumable.cause


def test_an_error_prints_as_its_detail_and_else_as_its_message() -> None:
    assert str(UpstreamReset("peer 10.0.0.1")) == "peer 10.0.0.1"
    assert str(UpstreamReset()) == UpstreamReset.message
    assert UpstreamReset("x").message == UpstreamReset.message
    assert isinstance(UpstreamReset(), UpstreamError)
