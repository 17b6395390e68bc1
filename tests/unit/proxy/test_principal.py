"""Whose stream is it: equal for one principal, different for two, whatever stands around it."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.proxy.principal import JWT_BYTES_MAX, fingerprint, vary

Fields = list[tuple[bytes, bytes]]
AUTHORIZATION = ["header:Authorization"]
NOBODY: Fields = []


def auth(value: bytes) -> Fields:
    return [(b"authorization", value)]


def cookie(*lines: bytes) -> Fields:
    return [(b"cookie", line) for line in lines]


def jwt(claims: object, signature: str = "sig", *, padding: str = "") -> Fields:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + padding
    return auth(f"Bearer e30.{payload}.{signature}".encode())


def same(inputs: list[str], one: Fields, other: Fields) -> bool:
    return fingerprint(inputs, one) == fingerprint(inputs, other)


def test_a_fingerprint_has_32_bytes_and_survives_an_upgrade() -> None:
    expected = "e37bb453cbf096e14ae4eaf249692bef80d09e096d34f4801253357df4b3c319"
    assert fingerprint(AUTHORIZATION, auth(b"Bearer ann")).hex() == expected
    assert len(fingerprint([], NOBODY)) == 32


# -- header --------------------------------------------------------------------------------------------------


def test_one_login_is_one_principal_whatever_else_the_request_carries() -> None:
    more: Fields = [(b"accept", b"*/*"), *auth(b"Bearer ann"), (b"cookie", b"a=b"), (b"last-event-id", b"7")]
    assert same(AUTHORIZATION, auth(b"Bearer ann"), more)


@pytest.mark.parametrize("other", [b"Bearer bob", b"bearer ann", b"Bearer ann ", b"", b"Bearer an"])
def test_another_login_is_another_principal(other: bytes) -> None:
    assert not same(AUTHORIZATION, auth(b"Bearer ann"), auth(other))


def test_no_login_is_a_principal_of_its_own_and_not_an_empty_login() -> None:
    assert same(AUTHORIZATION, NOBODY, [(b"accept", b"*/*")])
    assert not same(AUTHORIZATION, NOBODY, auth(b""))


def test_the_name_of_a_header_may_be_configured_in_any_case() -> None:
    assert fingerprint(["header:X-User"], [(b"x-user", b"ann")]) == fingerprint(
        ["header:x-user"], [(b"x-user", b"ann")]
    )


def test_values_cannot_be_shifted_from_one_input_to_the_next() -> None:
    inputs = ["header:a", "header:b"]
    cases: list[Fields] = [
        [(b"a", b"xy"), (b"b", b"")],
        [(b"a", b"x"), (b"b", b"y")],
        [(b"a", b""), (b"b", b"xy")],
        [(b"b", b"xy")],
        [(b"a", b"xy")],
        [(b"a", b"x"), (b"a", b"y")],
        [(b"a", b"y"), (b"a", b"x")],
        [(b"a", b"x"), (b"a", b"y"), (b"b", b"")],
        [(b"b", b"x"), (b"b", b"y")],
        [(b"a", b"1:x1;1:y")],
        [],
    ]
    assert len({fingerprint(inputs, case) for case in cases}) == len(cases)


values = st.lists(st.binary(max_size=6) | st.sampled_from([b"1:a", b"1;", b"0;", b";", b":"]), max_size=3)


@given(values, values, values, values)
def test_two_requests_share_a_fingerprint_only_if_every_input_is_the_same(
    a: list[bytes], b: list[bytes], c: list[bytes], d: list[bytes]
) -> None:
    one = [(b"x", value) for value in a] + [(b"y", value) for value in b]
    other = [(b"x", value) for value in c] + [(b"y", value) for value in d]
    assert same(["header:x", "header:y"], one, other) == ((a, b) == (c, d))


# -- cookie --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"session=ann",
        b"session=ann; theme=dark",
        b"theme=dark; session=ann",
        b"theme=dark;session=ann;",
        b" session = ann ",
        b'prefs={"a": 1}; session=ann',
        b"flag; session=ann",
        b"path=/x; session=ann",
        b"=x; session=ann",
        b"caf\xc3\xa9=1; session=ann",
        b"a[b]=1; session=ann",
        b"; ; session=ann",
    ],
)
def test_a_cookie_is_found_whatever_stands_beside_it(line: bytes) -> None:
    assert same(["cookie:session"], cookie(line), cookie(b"session=ann"))


@pytest.mark.parametrize(
    "line",
    [
        b"session=bob",
        b"Session=ann",
        b"xsession=ann",
        b"session",
        b"x=session=ann",
        b"session=ann; session=bob",
    ],
)
def test_another_cookie_is_another_principal(line: bytes) -> None:
    assert not same(["cookie:session"], cookie(line), cookie(b"session=ann"))


def test_a_cookie_may_be_on_a_line_of_its_own_as_http2_gateways_write_it() -> None:
    assert same(["cookie:session"], cookie(b"theme=dark", b"session=ann"), cookie(b"session=ann"))


def test_a_value_is_taken_as_it_stands() -> None:
    assert not same(["cookie:session"], cookie(b'session="ann"'), cookie(b"session=ann"))
    assert same(["cookie:session"], cookie(b"session=a=b=="), cookie(b"x=1; session=a=b=="))


@given(st.binary(max_size=60))
def test_cookies_of_any_bytes_are_harmless(line: bytes) -> None:
    fingerprint(["cookie:session"], cookie(line, b"session=" + line))


# -- jwt -----------------------------------------------------------------------------------------------------


def test_a_claim_is_the_principal_whatever_else_the_token_says() -> None:
    assert same(["jwt:sub"], jwt({"sub": "ann", "exp": 1}, "one"), jwt({"exp": 2, "sub": "ann"}, "two"))
    assert not same(["jwt:sub"], jwt({"sub": "ann"}), jwt({"sub": "bob"}))


@pytest.mark.parametrize("other", ["1", 1.5, True, None, [1], {"a": 1}])
def test_claims_of_different_types_are_different(other: object) -> None:
    assert not same(["jwt:sub"], jwt({"sub": 1}), jwt({"sub": other}))
    assert not same(["jwt:sub"], NOBODY, jwt({"sub": other}))


def test_the_order_inside_a_claim_makes_no_difference() -> None:
    assert same(["jwt:org"], jwt({"org": {"a": 1, "b": 2}}), jwt({"org": {"b": 2, "a": 1}}))


def test_padding_and_the_case_of_bearer_make_no_difference() -> None:
    plain, padded = jwt({"sub": "ann"}), jwt({"sub": "ann"}, padding="=")
    shouted = auth(plain[0][1].replace(b"Bearer", b"BEARER "))
    assert same(["jwt:sub"], plain, padded)
    assert same(["jwt:sub"], plain, shouted)


def test_a_second_token_beside_the_first_makes_another_principal() -> None:
    ann, bob = jwt({"sub": "ann"}), jwt({"sub": "bob"})
    assert len({fingerprint(["jwt:sub"], fields) for fields in (ann, bob, ann + bob, bob + ann)}) == 4


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer x",
        b"Bearer a.b",
        b"Bearer a.b.c.d",
        b"Bearer a.b.c",
        b"Bearer a.!!!.c",
        b"Bearer a.\xff\xfe.c",
        b"Basic e30.eyJzdWIiOiJhbm4ifQ.x",
        b"Bearer e30." + base64.urlsafe_b64encode(b"[1]") + b".x",
        b"Bearer e30." + base64.urlsafe_b64encode(b'{"exp":1}') + b".x",
        b"Bearer e30." + base64.urlsafe_b64encode(b'{"sub":' + b"9" * 5000 + b"}") + b".x",
        b"Bearer e30." + base64.urlsafe_b64encode(b'{"sub":"' + b"a" * JWT_BYTES_MAX + b'"}') + b".x",
    ],
)
def test_what_is_no_token_with_the_claim_counts_as_absent(value: bytes) -> None:
    assert same(["jwt:sub"], NOBODY, auth(value))


@pytest.mark.parametrize("depth", [*range(900, 1010), 5_000])
def test_a_claim_nested_as_deep_as_can_be_is_harmless(depth: int) -> None:
    payload = base64.urlsafe_b64encode(b'{"sub":' + b"[" * depth + b"]" * depth + b"}")
    fingerprint(["jwt:sub"], auth(b"Bearer e30." + payload + b".x"))


@given(st.binary(max_size=80))
def test_tokens_of_any_bytes_are_harmless(payload: bytes) -> None:
    for token in (payload, base64.urlsafe_b64encode(payload)):
        fingerprint(["jwt:sub"], auth(b"Bearer e30." + token + b".x"))


# -- capability, several inputs, Vary ------------------------------------------------------------------------


def test_with_capability_the_token_alone_is_the_right_to_read() -> None:
    assert same(["capability"], auth(b"Bearer ann"), NOBODY)


def test_with_several_inputs_all_of_them_count() -> None:
    inputs = ["header:authorization", "cookie:session", "jwt:sub"]
    base = jwt({"sub": "ann"}) + cookie(b"session=1")
    assert same(inputs, base, [*base, (b"accept", b"*/*")])
    assert not same(inputs, base, jwt({"sub": "ann"}) + cookie(b"session=2"))
    assert not same(inputs, base, jwt({"sub": "ann"}))


@pytest.mark.parametrize(
    ("inputs", "fields"),
    [
        (["header:Authorization"], [b"authorization"]),
        (["cookie:a", "cookie:b"], [b"cookie"]),
        (["jwt:sub", "header:Authorization", "header:X-User"], [b"authorization", b"x-user"]),
        (["capability"], []),
    ],
)
def test_a_cache_is_told_what_the_principal_depends_on(inputs: list[str], fields: list[bytes]) -> None:
    assert vary(inputs) == fields
