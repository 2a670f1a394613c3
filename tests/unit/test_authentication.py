"""Who vouches for the From domain: only our own server's verdict, read by grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.mail.authentication import Outcome, aligned, judge, organisational_domain

GMAIL = (
    "mx.instansi.example; dkim=pass header.i=@pt.co.id header.s=s1 header.b=Ab+/cd; "
    "spf=pass (mx: domain of a@pt.co.id designates 192.0.2.1 as permitted sender) smtp.mailfrom=a@pt.co.id; "
    "dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=pt.co.id"
)
MICROSOFT = (
    "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=pt.co.id; dkim=pass (signature was verified) "
    "header.d=pt.co.id;dmarc=pass action=none header.from=pt.co.id;compauth=pass reason=100"
)
OURS = "mx.instansi.example"


def outcome(*values: str, authserv_id: str | None = OURS, domain: str = "pt.co.id") -> Outcome:
    return judge(values, authserv_id, domain).outcome


def test_a_dmarc_pass_of_our_server_authenticates() -> None:
    """Rule 14."""
    assert outcome(GMAIL) is Outcome.PASS
    assert outcome(GMAIL.upper().replace("MX.INSTANSI.EXAMPLE", OURS)) is Outcome.PASS


def test_the_header_of_microsoft_365_needs_no_id() -> None:
    """Rule 14: authserv_id = "" accepts the topmost header without an id."""
    assert outcome(MICROSOFT, authserv_id="") is Outcome.PASS
    assert outcome(GMAIL, authserv_id="") is Outcome.NONE
    assert outcome(GMAIL, MICROSOFT, authserv_id="") is Outcome.NONE


@pytest.mark.parametrize("authserv_id", [None, "", "other.example"])
def test_other_servers_are_not_believed(authserv_id: str | None) -> None:
    """Rule 14: missing config, header or verdict means nobody is authenticated."""
    assert outcome(GMAIL, authserv_id=authserv_id) is Outcome.NONE
    assert outcome(authserv_id=OURS) is Outcome.NONE
    assert outcome(f"{OURS}; none") is Outcome.NONE


def test_only_the_first_header_of_our_server_counts() -> None:
    """Rule 14: a forged header further down does not mend a verdict."""
    fail = f"{OURS}; dmarc=fail header.from=pt.co.id"
    assert outcome(fail, GMAIL) is Outcome.FAIL
    assert outcome(f"{OURS}; spf=none", GMAIL) is Outcome.NONE
    assert outcome("other.example; dmarc=fail header.from=pt.co.id", GMAIL) is Outcome.PASS


@pytest.mark.parametrize(
    "value",
    [
        f"{OURS} (x (y) ; dmarc=pass header.from=pt.co.id); spf=fail smtp.mailfrom=evil.example",
        f"{OURS}; spf=fail (a (b) dmarc=pass header.from=pt.co.id) smtp.mailfrom=evil.example",
        f'{OURS}; spf=pass smtp.mailfrom="x; dmarc=pass header.from=pt.co.id"@evil.example',
        f'{OURS}; spf=pass smtp.mailfrom="x dmarc=pass header.from=pt.co.id "@evil.example; dmarc=none',
        f"{OURS}; dmarc=fail header.from=pt.co.id; dmarc=pass header.from=pt.co.id",
        f"{OURS}; dmarc=pass header.from=pt.co.id; dmarc=pass header.from=evil.example",
        f"{OURS}; spf=pass header.from=pt.co.id; dmarc=pass header.from=evil.example",
        f"{OURS}; spf=pass header.d=pt.co.id; dkim=pass header.d=evil.example",
        f"{OURS}; dmarc=pass",
        f"{OURS}; dmarc=pass smtp.mailfrom=pt.co.id",
        f"{OURS}; dmarc=pass header.from=pt.co.id.evil.example",
        f"{OURS}; dmarc=temperror header.from=pt.co.id",
        f"{OURS}; dmarc=pass header.from=pt.co.id garbage ;;; (",
        f'{OURS}; reason="dmarc=pass header.from=pt.co.id',
        f"{OURS}; " + "x" * 20_000 + "; dmarc=pass header.from=pt.co.id",
        f"{OURS}; " + "(" * 4000,
    ],
)
def test_no_trick_of_the_grammar_yields_a_pass(value: str) -> None:
    """Rule 15: nested comments, quoted local parts, two dmarc results, properties of another method."""
    assert outcome(value) is not Outcome.PASS


@pytest.mark.parametrize(
    "value",
    [
        'spf=pass smtp.mailfrom="x;dmarc=pass header.from=pt.co.id"@evil.example; dmarc=none action=none',
        "spf=fail (a (b) ; dmarc=pass header.from=pt.co.id); dmarc=none action=none",
        "dmarc=pass action=none header.from=pt.co.id; dmarc=fail action=none header.from=pt.co.id",
        "spf=pass header.from=pt.co.id; dmarc=pass action=none header.from=evil.example",
        "dmarc=pass action=none header.from=evil.example header.from=pt.co.id",
        "dmarc=pass action=none header.from=pt.co.id trailing",
        "(; dmarc=pass action=none header.from=pt.co.id",
        "; dmarc=pass header.from=pt.co.id",
    ],
)
def test_no_trick_passes_the_grammar_for_headers_without_id(value: str) -> None:
    """Rule 15, for the grammar of our own."""
    assert outcome(value, authserv_id="") is not Outcome.PASS


def test_an_aligned_dkim_signature_is_enough() -> None:
    """Rule 14: DMARC or aligned DKIM."""
    assert outcome(f"{OURS}; dkim=pass header.d=pt.co.id") is Outcome.PASS
    assert outcome(f"{OURS}; dkim=pass header.d=pt.co.id", domain="mail.pt.co.id") is Outcome.PASS
    assert outcome(f"{OURS}; dkim=pass header.i=@pt.co.id; dmarc=none") is Outcome.PASS
    assert outcome(f"{OURS}; dkim=fail header.d=pt.co.id") is Outcome.NONE
    assert outcome(f"{OURS}; dkim=pass header.d=co.id") is Outcome.NONE
    assert outcome(f"{OURS}; dkim=pass header.d=lain.co.id") is Outcome.NONE


def test_a_dmarc_failure_is_told_apart_from_no_verdict() -> None:
    """Rule 13: DMARC fail means no reply and no acknowledgement."""
    assert outcome(f"{OURS}; dkim=pass header.d=pt.co.id; dmarc=fail header.from=pt.co.id") is Outcome.FAIL


@pytest.mark.parametrize("suffix", ["id", "co.id", "go.id", "or.id", "com", "co.uk", "com.sg"])
def test_registries_are_no_organisations(suffix: str) -> None:
    assert organisational_domain(f"mail.pt.{suffix}") == f"pt.{suffix}"
    assert not aligned(suffix, f"pt.{suffix}")
    assert aligned(f"pt.{suffix}", f"mail.pt.{suffix}")
    assert not aligned(f"a.{suffix}", f"b.{suffix}")


@given(
    st.lists(
        st.sampled_from([*'();="\\. ', "a", OURS, "dmarc", "pass", "header.from", "pt.co.id", "dkim", "1"])
    ),
    st.sampled_from([OURS, ""]),
)
def test_any_header_can_be_judged(pieces: list[str], authserv_id: str) -> None:
    """Rule 15: what cannot be read is no verdict, never an error."""
    assert outcome("".join(pieces), authserv_id=authserv_id, domain="lain.example") is not Outcome.PASS
    outcome(f"{OURS}; " + "".join(pieces))


RESULT = st.tuples(
    st.sampled_from(["dkim", "spf", "dmarc", "arc", "compauth"]),
    st.sampled_from(["pass", "fail", "none", "permerror", "neutral"]),
    st.sampled_from(["header.d", "header.from", "header.i", "smtp.mailfrom"]),
    st.sampled_from(["pt.co.id", "@pt.co.id", "mail.pt.co.id", "lain.id", "co.id"]),
    st.sampled_from(["", " (a comment (within) another)", "\t"]),
)


@given(st.lists(RESULT, min_size=1, max_size=5))
def test_a_plain_header_means_the_same_as_with_a_quoted_reason(
    results: list[tuple[str, str, str, str, str]],
) -> None:
    """A quoted reason makes the library read the header, without one ours does: they agree."""

    def header(reason: str) -> str:
        return f"{OURS}; " + "; ".join(
            f"{method}={result}{reason}{comment} {name}={value}"
            for method, result, name, value, comment in results
        )

    assert judge([header("")], OURS, "pt.co.id") == judge([header(' reason="ya"')], OURS, "pt.co.id")
