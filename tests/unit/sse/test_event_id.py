"""Event ids have a fixed form and cannot be forged."""

import base64
import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.sse.event_id import (
    EVENT_ID_BYTES_MAX,
    MAC_BYTES,
    RANDOM_BYTES,
    SEQ_DIGITS_MAX,
    EventId,
    Signer,
    is_stream,
    parse,
)

RANDOM = bytes(range(RANDOM_BYTES))
ANN, BOB = b"a" * 32, b"b" * 32
SEQ_MAX = 10**SEQ_DIGITS_MAX - 1
BASE64URL = string.ascii_letters + string.digits + "-_"

randoms = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
keys = st.binary(min_size=1, max_size=64)
principals = st.binary(max_size=64)
seqs = st.integers(0, SEQ_MAX)


def token(key: bytes = b"key", principal: bytes = ANN) -> str:
    return Signer(key).token(RANDOM, principal)


def test_the_same_inputs_make_the_same_token_in_every_release() -> None:
    assert token() == "s1AAECAwQFBgcICQoLO5zpCM4wdAkBZh3vnkrjhwK6"


@given(randoms, keys, principals, seqs)
def test_an_id_has_the_promised_form_and_length(
    random: bytes, key: bytes, principal: bytes, seq: int
) -> None:
    text = str(EventId(Signer(key).token(random, principal), seq))
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", text)
    assert len(text.encode()) <= EVENT_ID_BYTES_MAX
    assert text.startswith("s1")


@given(randoms, keys, principals, seqs)
def test_what_is_made_can_be_read_back_and_is_genuine(
    random: bytes, key: bytes, principal: bytes, seq: int
) -> None:
    signer = Signer(key)
    made = EventId(signer.token(random, principal), seq)
    assert parse(str(made)) == made
    assert is_stream(made.stream)
    assert signer.verify(made.stream, principal)


def test_a_token_contains_its_random_part() -> None:
    assert base64.urlsafe_b64decode(token()[2:])[:RANDOM_BYTES] == RANDOM
    assert Signer(b"key").token(RANDOM[::-1], ANN) != token()


@given(randoms, keys, principals, principals)
def test_another_principals_stream_is_not_yours(random: bytes, key: bytes, ann: bytes, bob: bytes) -> None:
    signer = Signer(key)
    assert signer.verify(signer.token(random, ann), bob) == (ann == bob)


def test_a_token_made_with_another_key_is_not_ours() -> None:
    assert not Signer(b"other").verify(token(), ANN)


def test_a_retiring_key_is_accepted_but_makes_no_new_tokens() -> None:
    rolling = Signer(b"new", b"old", b"older")
    for key in (b"new", b"old", b"older"):
        assert rolling.verify(token(key), ANN)
        assert not rolling.verify(token(key), BOB)
    assert rolling.token(RANDOM, ANN) == token(b"new")


def test_a_retired_key_is_refused() -> None:
    assert not Signer(b"new").verify(token(b"old"), ANN)
    assert not Signer(b"newest", b"new").verify(token(b"old"), ANN)


def test_every_change_of_a_single_character_of_a_token_is_refused() -> None:
    genuine, signer = token(), Signer(b"key")
    for at, was in enumerate(genuine):
        for character in set(BASE64URL + ".~+/=\0\n é") - {was}:
            forged = genuine[:at] + character + genuine[at + 1 :]
            assert not signer.verify(forged, ANN), forged


@pytest.mark.parametrize(
    "forged", [token()[:-1], token() + "A", token() + "\n", "", "s1", "s2" + token()[2:]]
)
def test_a_token_of_another_length_or_version_is_refused(forged: str) -> None:
    assert not is_stream(forged)
    assert not Signer(b"key").verify(forged, ANN)


def test_halves_of_two_genuine_tokens_do_not_make_a_third() -> None:
    signer = Signer(b"key")
    ours, theirs = (
        base64.urlsafe_b64decode(signer.token(random, who)[2:])
        for random, who in ((RANDOM, ANN), (RANDOM[::-1], BOB))
    )
    for cut in (RANDOM_BYTES, RANDOM_BYTES + MAC_BYTES):
        mixed = "s1" + base64.urlsafe_b64encode(ours[:cut] + theirs[cut:]).decode()
        assert not signer.verify(mixed, ANN)
        assert not signer.verify(mixed, BOB)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "1.2",
        token(),
        token() + ".",
        token() + ".x",
        token() + ".-1",
        token() + ".+1",
        token() + ".01",
        token() + ".1.2",
        token() + ".1 ",
        " " + token() + ".1",
        token() + ".1\n",
        token() + ".٣",
        token() + "." + "9" * (SEQ_DIGITS_MAX + 1),
        token() + "." + "9" * 5000,
        "s2" + token()[2:] + ".1",
        token()[:-1] + "+.1",
    ],
)
def test_what_is_not_in_our_form_is_somebody_elses(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("seq", [0, 1, 9, 10, SEQ_MAX])
def test_every_seq_that_can_be_written_can_be_read(seq: int) -> None:
    assert parse(f"{token()}.{seq}") == (token(), seq)


@given(st.binary(max_size=300) | st.binary(max_size=20).map(lambda end: token().encode() + b"." + end))
@example(b"\0")
@example(b"\xff" * 100_000)
@settings(max_examples=1_000)
def test_a_foreign_id_of_any_bytes_and_any_length_is_harmless(raw: bytes) -> None:
    text = raw.decode("latin-1")
    found = parse(text)
    assert found is None or str(found) == text
    assert not Signer(b"other").verify(text, ANN)


@given(st.text(max_size=80))
def test_any_text_may_be_asked_for(text: str) -> None:
    assert not Signer(b"key").verify(text, ANN)
    assert not is_stream(text)
