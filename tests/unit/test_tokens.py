"""Tokens: what is ours verifies, what is not does not, and nothing can be moved from one use to another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.errors import ConfigError
from responder.mail import tokens

KEY = b"kunci instalasi ini, 32 oktet..."
OTHER = b"kunci instalasi lain, 32 oktet.."


def message_id(**changes: object) -> str:
    values: dict[str, object] = {"mailbox": "lpse", "identity": "ab12", "kind": "answer", "n": 1}
    return tokens.message_id(KEY, **(values | {"domain": "lpse.contoh.go.id"} | changes))  # type: ignore[arg-type]


def test_message_id_ends_in_our_domain_and_is_short() -> None:
    """Rule 40."""
    made = message_id()
    assert made.endswith("@lpse.contoh.go.id")
    assert len(f"<{made}>") <= 75


def test_message_id_is_the_same_for_the_same_reply_and_differs_for_any_other() -> None:
    """Rules 39 and 40."""
    others = [message_id(mailbox="x"), message_id(identity="x"), message_id(kind="ack"), message_id(n=2)]
    assert message_id() == message_id()
    assert len({message_id(), *others}) == 5


def test_message_id_does_not_confuse_neighbouring_inputs() -> None:
    assert message_id(mailbox="ab", identity="c") != message_id(mailbox="a", identity="bc")


def test_own_message_id_is_recognised_without_its_inputs() -> None:
    """Rule 9."""
    assert tokens.is_own_message_id(KEY, message_id())
    assert tokens.is_own_message_id(KEY, f"<{message_id().upper()}>")


@pytest.mark.parametrize("change", [("a", "b"), ("b", "a"), ("@lpse.", "@lain."), (".", "")])
def test_changed_message_id_is_not_ours(change: tuple[str, str]) -> None:
    """Rule 9: a MAC that does not verify is nothing."""
    changed = message_id().replace(*change)
    assert changed == message_id() or not tokens.is_own_message_id(KEY, changed)


def test_message_id_of_another_installation_is_not_ours() -> None:
    """Rule 9."""
    assert not tokens.is_own_message_id(OTHER, message_id())


@pytest.mark.parametrize("text", ["", "@", "a@b", "<>", "x" * 5000, "a.b@c", "é.é@é"])
def test_any_text_may_be_asked_whether_it_is_ours(text: str) -> None:
    assert not tokens.is_own_message_id(KEY, text)
    assert not tokens.is_own_loop_token(KEY, text)
    assert tokens.find_subject_tag(KEY, text) is None
    assert tokens.number_from_address(KEY, text) is None


def test_long_domain_loses_leading_labels_but_stays_ours() -> None:
    """Rule 40: at most 75 characters."""
    made = message_id(domain="layanan-pengadaan.kabupaten-hulu-sungai-selatan.go.id")
    assert made.endswith("@kabupaten-hulu-sungai-selatan.go.id")
    assert len(f"<{made}>") <= 75
    assert tokens.is_own_message_id(KEY, made)


def test_domain_that_cannot_be_shortened_is_an_error_that_says_so() -> None:
    with pytest.raises(ConfigError, match="too long for a Message-ID"):
        message_id(domain=f"{'x' * 60}.id")


def test_international_domain_becomes_ascii() -> None:
    """Rule 45."""
    assert message_id(domain="pengadaan-é.id").endswith("@xn--pengadaan--k7a.id")


@given(st.integers(min_value=1, max_value=9_999_999_999))
def test_subject_tag_gives_its_number_back(number: int) -> None:
    tag = tokens.subject_tag(KEY, number)
    assert tokens.find_subject_tag(KEY, f"RE: Fwd: {tag} Ganti email") == number


def test_subject_tag_has_the_form_that_staff_know() -> None:
    assert tokens.subject_tag(KEY, 123).startswith("[LPSE-000123-")
    assert len(tokens.subject_tag(KEY, 123)) == len("[LPSE-000123-k7f3q]")


def test_subject_number_without_valid_mac_joins_nothing() -> None:
    """Rule 48."""
    forged = tokens.subject_tag(KEY, 123).replace("000123", "000124")
    assert tokens.find_subject_tag(KEY, forged) is None
    assert tokens.find_subject_tag(KEY, "[LPSE-000124]") is None


def test_verified_tag_is_found_behind_a_forged_one() -> None:
    forged = tokens.subject_tag(OTHER, 7)
    assert tokens.find_subject_tag(KEY, f"{forged} {tokens.subject_tag(KEY, 8)}") == 8


def test_subject_tags_are_taken_out_without_gaps() -> None:
    tag = tokens.subject_tag(KEY, 5)
    assert tokens.strip_subject_tags(f"Re: {tag} Ganti {tag} email") == "Re: Ganti email"


def test_own_loop_token_is_recognised_and_no_other() -> None:
    """Rules 9, 27 and 30."""
    token = tokens.loop_token(KEY, message_id())
    assert tokens.is_own_loop_token(KEY, f" {token} ")
    assert not tokens.is_own_loop_token(OTHER, token)
    assert not tokens.is_own_loop_token(KEY, "yes")


def test_token_of_one_use_does_not_verify_in_another() -> None:
    local = message_id().partition("@")[0]
    assert not tokens.is_own_loop_token(KEY, local)
    assert not tokens.is_own_message_id(KEY, f"{tokens.loop_token(KEY, 'x@y')}@lpse.contoh.go.id")


def test_plus_address_gives_its_number_back() -> None:
    """Rule 49."""
    address = tokens.plus_address("lpse@contoh.go.id", KEY, 42)
    assert address.startswith("lpse+000042-")
    assert tokens.number_from_address(KEY, address.upper()) == 42
    assert tokens.number_from_address(KEY, address.replace("000042", "000043")) is None
    assert tokens.number_from_address(OTHER, address) is None
