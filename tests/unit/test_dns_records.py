"""What the DNS says about the sending domain (rule 46)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from responder.mail.dns_records import NoAnswer, Published, published

DOMAIN = "helpdesk.lpse.go.id"
GOOD = {
    DOMAIN: ["other=1", "v=spf1 include:_spf.provider.id -all"],
    f"s1._domainkey.{DOMAIN}": ["v=DKIM1; k=rsa; p=MIGfMA0"],
    "_dmarc.lpse.go.id": ["v=DMARC1; p=quarantine"],
}


def asked(records: Mapping[str, Sequence[str]], *selectors: str) -> dict[str, Published]:
    found = published(DOMAIN, DOMAIN, selectors, lambda name: records.get(name, ()))
    return {one.what: one for one in found}


def test_a_domain_that_publishes_all_three_is_good() -> None:
    """Rule 46; DMARC is found at the domain above."""
    found = asked(GOOD, "s1")
    assert {what: one.good for what, one in found.items()} == {"SPF": True, "DKIM": True, "DMARC": True}
    assert found["DMARC"].message == "_dmarc.lpse.go.id: v=DMARC1; p=quarantine"


def test_what_is_missing_is_named() -> None:
    """Rule 46."""
    found = asked({}, "s1")
    assert not any(one.good for one in found.values())
    assert f"s1._domainkey.{DOMAIN} has no key" in found["DKIM"].message


@pytest.mark.parametrize(
    ("records", "why"),
    [
        (["v=spf1 -all", "v=spf1 mx -all"], "2 SPF records"),
        (["v=spf1 +all"], "everybody"),
        (["v=spf10 -all"], "no SPF record"),
    ],
)
def test_an_spf_record_that_does_not_count_is_no_spf_record(records: list[str], why: str) -> None:
    """RFC 7208 4.5."""
    spf = asked({DOMAIN: records})["SPF"]
    assert not spf.good
    assert why in spf.message


def test_a_revoked_key_is_no_key() -> None:
    """RFC 6376 3.6.1."""
    dkim = asked({f"s1._domainkey.{DOMAIN}": ["v=DKIM1; p="]}, "s1")["DKIM"]
    assert not dkim.good
    assert "revoked" in dkim.message


def test_spf_is_looked_up_for_the_domain_of_the_envelope() -> None:
    names: list[str] = []
    published("lpse.go.id", "bounce.provider.id", (), lambda name: names.append(name) or ())  # type: ignore[func-returns-value]
    assert names[0] == "bounce.provider.id"


def test_nobody_is_asked_about_a_domain_that_cannot_exist() -> None:
    def ask(name: str) -> Sequence[str]:
        raise NoAnswer(name)

    assert published("lpse.example", "lpse.example", ("s1",), ask) == []
