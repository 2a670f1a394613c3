"""The verdict: everything must be right for AUTO, and each doubt lowers it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.errors import UnreadableMail
from responder.mail import parse
from responder.mail.message import Kind, Screening, Setting, Verdict
from responder.mail.screen import screen
from responder.replies.reason_words import is_known
from tests.mails import MAILBOX, build_mail

NOW = datetime(2025, 3, 3, 3, 0, tzinfo=UTC)
LIVE = Setting(
    own_addresses=frozenset({MAILBOX}),
    authserv_id="mx.instansi.example",
    now=NOW,
    received=NOW - timedelta(minutes=5),
)
PASSED = "mx.instansi.example; dmarc=pass header.from=penyedia.example"
SIGNALLING = (
    *(
        "Auto-Submitted",
        "Precedence",
        "List-Id",
        "Return-Path",
        "Reply-To",
        "Sender",
        "X-Loop",
        "From",
        "Subject",
    ),
    *(
        "Authentication-Results",
        "Received",
        "X-Spam-Flag",
        "Content-Type",
        "References",
        "Delivered-To",
        "To",
    ),
)


def judged(setting: Setting = LIVE, **headers: str | list[str] | None) -> Screening:
    named = {"Authentication-Results": PASSED, **{n.replace("_", "-"): v for n, v in headers.items()}}
    found = screen(parse.read(build_mail(headers=named)), setting)
    assert all(map(is_known, found.reasons))  # staff can read why
    return found


def test_a_plain_question_of_an_authenticated_vendor_may_be_answered() -> None:
    found = judged()
    assert found == Screening(Verdict.AUTO, Kind.PERSON, (), True, "budi@penyedia.example", False)


@pytest.mark.parametrize("place", ["To", "Cc", "Resent-To", "Resent-Cc"])
def test_an_own_address_must_be_among_the_recipients(place: str) -> None:
    """Rule 10 (RFC 5230 4.5)."""
    assert (
        judged(**{"To": "lain@x.example", place: f"lain@x.example, LPSE <{MAILBOX.upper()}>"}).verdict
        is Verdict.AUTO
    )


@pytest.mark.parametrize("to", ["lain@x.example", None, "undisclosed-recipients:;"])
def test_hidden_or_list_recipients_need_a_person(to: str | None) -> None:
    """Rule 10."""
    assert judged(To=to).verdict is Verdict.DRAFT


@pytest.mark.parametrize(
    "sender",
    [
        None,
        "",
        "Budi",
        "budi@penyedia.example, ani@penyedia.example",
        "Tim: budi@penyedia.example, ani@penyedia.example;",
        "lpse@x.example <budi@penyedia.example>",
        "budi@penyedia.example <ani@lain.example>",
    ],
)
def test_from_must_be_one_mailbox(sender: str | None) -> None:
    """Rule 11: none, several, a group or two parsers that disagree block AUTO."""
    assert judged(From=sender).verdict.rank <= Verdict.DRAFT.rank


def test_two_from_headers_need_a_person() -> None:
    """Rule 11."""
    assert judged(From=["budi@penyedia.example", "ani@lain.example"]).verdict is Verdict.DRAFT


def test_a_dmarc_failure_gets_nothing() -> None:
    """Rule 13: no reply, no acknowledgement, also under trust."""
    fail = "mx.instansi.example; dmarc=fail header.from=penyedia.example"
    assert judged(Authentication_Results=fail).verdict is Verdict.NO_AUTO
    assert judged(replace(LIVE, trust=True), Authentication_Results=fail).verdict is Verdict.NO_AUTO


@pytest.mark.parametrize(
    "value",
    [
        None,
        "evil.example; dmarc=pass header.from=penyedia.example",
        "mx.instansi.example; dmarc=pass header.from=evil.example",
        "mx.instansi.example; dmarc=none",
        "mx.instansi.example; spf=pass (dmarc=pass header.from=penyedia.example)",
    ],
)
def test_a_sender_that_nobody_vouches_for_needs_a_person(value: str | None) -> None:
    """Rules 14 and 15."""
    found = judged(Authentication_Results=value)
    assert (found.verdict, found.authenticated) == (Verdict.DRAFT, False)


def test_without_a_configured_server_nobody_is_authenticated() -> None:
    """Rule 14."""
    assert judged(replace(LIVE, authserv_id=None)).verdict is Verdict.DRAFT


@pytest.mark.parametrize(
    ("received", "verdict"),
    [
        (NOW - timedelta(hours=23, minutes=59), Verdict.AUTO),
        (NOW - timedelta(hours=24, minutes=1), Verdict.DRAFT),
        (NOW + timedelta(minutes=5), Verdict.AUTO),
        (None, Verdict.DRAFT),
    ],
)
def test_old_mail_is_never_answered_automatically(received: datetime | None, verdict: Verdict) -> None:
    """Rule 16: by the time of arrival, which the sender cannot set."""
    assert judged(replace(LIVE, received=received)).verdict is verdict


def test_trust_takes_address_authentication_and_age_as_met() -> None:
    """Rules 10, 14 and 16 under `inspect --trust`."""
    found = screen(parse.read(build_mail(to="lain@x.example")), Setting(trust=True))
    assert (found.verdict, found.authenticated, found.reasons) == (Verdict.AUTO, False, ())


@pytest.mark.parametrize(
    "reply_to", ["budi@penyedia.example", "tender@penyedia.example", "Tim <t@mail.penyedia.example>"]
)
def test_replies_go_to_from_when_reply_to_is_of_the_same_organisation(reply_to: str) -> None:
    """Rule 34."""
    found = judged(Reply_To=reply_to)
    assert (found.verdict, found.reply_address) == (Verdict.AUTO, "budi@penyedia.example")


@pytest.mark.parametrize(
    "reply_to",
    [
        "korban@lain.example",
        "budi@penyedia.example, ani@penyedia.example",
        MAILBOX,
        "a@penyedia.example.evil.example",
    ],
)
def test_a_reply_to_elsewhere_is_shown_to_a_person(reply_to: str) -> None:
    """Rule 34: another organisation, more than one, or our own address; both addresses are shown."""
    found = judged(Reply_To=reply_to)
    assert (found.verdict, found.reply_address) == (Verdict.DRAFT, "budi@penyedia.example")
    (reason,) = found.reasons
    assert "budi@penyedia.example" in reason
    assert reply_to.split(",")[0].lower() in reason


def test_a_reply_to_on_the_same_registry_is_elsewhere() -> None:
    """Rule 34: "co.id" is no organisation."""
    found = screen(
        parse.read(build_mail(sender="budi@pt.co.id", headers={"Reply-To": "x@lain.co.id"})),
        Setting(trust=True),
    )
    assert found.verdict is Verdict.DRAFT


def test_a_list_reply_address_is_never_written_to() -> None:
    """Rules 8 and 34."""
    assert judged(Reply_To="milis-request@penyedia.example").verdict is Verdict.NO_AUTO


def test_the_worst_sign_decides_and_its_reason_comes_first() -> None:
    found = judged(To="lain@x.example", Auto_Submitted="auto-replied", List_Id="<a.example>")
    assert found.verdict is Verdict.NO_AUTO
    assert found.kind is Kind.LIST
    assert found.reasons[0].startswith("rule 2")
    assert found.reasons[-1].startswith("rule 10")


def test_what_reading_was_not_sure_of_needs_a_person() -> None:
    """Email-rules 0: uncertain evidence moves the verdict down."""
    mail = replace(
        parse.read(build_mail(headers={"Authentication-Results": PASSED})), doubts=("charset guessed",)
    )
    assert screen(mail, LIVE).verdict is Verdict.DRAFT


@given(
    st.lists(
        st.tuples(
            st.sampled_from(SIGNALLING),
            st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\0"), max_size=60),
        ),
        max_size=8,
    )
)
def test_added_headers_never_raise_the_verdict(added: list[tuple[str, str]]) -> None:
    """Email-rules 0: whatever stands in the headers, nothing raises and AUTO needs everything to be right."""
    raw = "".join(f"{name}: {value}\r\n" for name, value in added).encode() + build_mail(sender=None)
    try:
        mail = parse.read(raw)
    except UnreadableMail:
        return
    found = screen(mail, LIVE)
    assert found.verdict is not Verdict.AUTO or (found.authenticated and not found.reasons)
