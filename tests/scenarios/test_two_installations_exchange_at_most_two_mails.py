"""Promise: two of these responders pointed at each other stop after two mails (rule 26)."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.config import ImapServer
from tests.conftest import require_dovecot
from tests.faulty_smtp import FaultySmtp
from tests.mails import build_mail
from tests.scenarios.installation import AUTHSERV_ID, OFFICE, DovecotBackend, Installation
from tests.servers import Dovecot

OTHER = "layanan@lain.example"
POLICY = '[policy]\nmode = "auto"\nrequire_evidence = false\naudit_share = 0\nundo_seconds = 0\nacknowledge = true\n'
TOPICS = ("lupa-password", "tender-cepat", "integrasi-sikap", "verifikasi-sikap")
MARKS = (b"auto-submitted:", b"x-auto-response-suppress:", b"x-lpse-loop:", b"precedence:")


class OtherBackend(DovecotBackend):
    """The same server, another office's mailbox."""

    def imap(self) -> ImapServer:
        return self.dovecot.imap(OTHER)

    def deliver(self, data: bytes) -> None:
        self.dovecot.deliver(data, user=OTHER)


@pytest.mark.parametrize("marked", [True, False], ids=["as sent", "with every mark of a machine stripped"])
def test_two_installations_exchange_at_most_two_mails(tmp_path: Path, models: Path, marked: bool) -> None:
    """Rule 26: every mail between them passes authentication, so that only the rules about loops can stop it."""
    require_dovecot()
    with Dovecot((OFFICE, OTHER)) as dovecot, FaultySmtp() as our_sink, FaultySmtp() as their_sink:
        ours = Installation(tmp_path / "a", DovecotBackend(dovecot, our_sink), models)
        theirs = Installation(tmp_path / "b", OtherBackend(dovecot, their_sink), models)
        for one in (ours, theirs):
            one.write_config(POLICY)
        theirs.config.write_text(theirs.config.read_text().replace(OFFICE, OTHER))
        for one in (ours, theirs):
            one.ready(*TOPICS)
        ours.backend.deliver(
            _stamped(
                build_mail(
                    "Lupa password",
                    "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif.",
                    sender=OTHER,
                    to=OFFICE,
                ),
                OTHER,
            )
        )
        relayed = 0
        for _ in range(4):
            for sender, sink, receiver in ((ours, our_sink, theirs), (theirs, their_sink, ours)):
                before = len(sink.mails)
                sender.poll()
                for mail in sink.mails[before:]:
                    data = mail.data if marked else _unmarked(mail.data)
                    receiver.backend.deliver(_stamped(data, mail.sender))
                    relayed += 1
    assert 1 <= relayed <= 2


def _stamped(data: bytes, sender: str) -> bytes:
    domain = sender.rpartition("@")[2]
    return f"Authentication-Results: {AUTHSERV_ID}; dmarc=pass header.from={domain}\r\n".encode() + data


def _unmarked(data: bytes) -> bytes:
    head, blank, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(MARKS)]
    return b"\r\n".join(lines) + blank + body
