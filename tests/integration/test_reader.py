"""The reader process: one bad mail costs itself and nothing else, and nobody is left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from responder.errors import ResponderError, UnreadableMail
from responder.mail import parse
from responder.mail.message import IncomingMail
from responder.mail.reader import Reader
from tests.mails import File, build_mail

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30  # seconds until a test gives up on what should take well under one


def children() -> set[int]:
    """Processes started by this one, over all its threads."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def wait_for_end(pid: int) -> bool:
    """Whether process `pid` ends before patience does."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], PATIENCE)[0])
    finally:
        os.close(descriptor)


def test_mail_reads_as_it_does_in_the_process() -> None:
    raw = build_mail(html="<p>Halo</p>", attachments=["akta.pdf"])
    with Reader() as reader:
        assert reader.read(raw) == parse.read(raw)


def test_process_is_started_by_the_first_mail_and_ended_by_close() -> None:
    before = children()
    reader = Reader()
    assert children() == before
    reader.read(build_mail())
    (pid,) = children() - before
    reader.close()
    assert children() == before
    assert not Path(f"/proc/{pid}").exists()


def test_reader_that_never_read_closes() -> None:
    with Reader():
        pass


def test_batch_keeps_order_and_puts_reasons_in_place() -> None:
    """Rule 64: one unreadable mail never stops the next."""
    mails = [build_mail(subject=f"mail {n}") for n in range(150)]
    mails[70] = b"X: y\r\n" * 50_000
    with Reader(max_size=400_000) as reader:
        results = reader.read_many([*mails, b"a" * 400_001])
    assert "header block" in str(results[70])
    assert "over the limit of 400000" in str(results[150])
    read = [r.subject for r in results if isinstance(r, IncomingMail)]
    assert read == [f"mail {n}" for n in range(150) if n != 70]


def test_reason_of_an_unreadable_mail_is_told() -> None:
    with Reader() as reader, pytest.raises(UnreadableMail, match="more than 500 parts"):
        reader.read(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 5000)


def test_mail_that_hangs_is_unreadable_and_the_next_is_read() -> None:
    """Rule 64: a stopped process stands for a parser that does not come back."""
    before = children()
    with Reader(wall_seconds=1) as reader:
        reader.read(build_mail())
        (pid,) = children() - before
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(UnreadableMail, match="longer than 1 s"):
            reader.read(build_mail(subject="macet"))
        assert not Path(f"/proc/{pid}").exists()
        assert reader.read(build_mail(subject="berikut")).subject == "berikut"


def test_process_killed_between_mails_costs_nothing() -> None:
    """Rule 64: the kernel may kill it for others' sake."""
    before = children()
    with Reader() as reader:
        reader.read(build_mail())
        (pid,) = children() - before
        os.kill(pid, signal.SIGKILL)
        results = reader.read_many([build_mail(subject=f"mail {n}") for n in range(3)])
    assert [r.subject for r in results if isinstance(r, IncomingMail)] == ["mail 0", "mail 1", "mail 2"]


def test_termination_of_the_whole_group_does_not_lose_a_mail() -> None:
    """A service manager signals every process; the reader ends with its parent's socket only."""
    before = children()
    with Reader() as reader:
        reader.read(build_mail())
        (pid,) = children() - before
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        reader.read(build_mail())
        assert children() - before == {pid}


def test_mail_over_the_memory_limit_is_unreadable() -> None:
    """Rule 64: memory limit."""
    raw = b"\r" * 150_000_000
    with Reader(max_size=200_000_000, memory_bytes=400_000_000) as reader:
        with pytest.raises(UnreadableMail):
            reader.read(raw)
        assert reader.read(build_mail(subject="berikut")).subject == "berikut"


def test_large_mail_is_read_within_the_memory_limit() -> None:
    """Rule 63 and 64 fit together: whatever the size limit admits can be read."""
    with Reader() as reader:
        mail = reader.read(
            build_mail(attachments=[File("besar.zip", bytes(24 * 1024 * 1024), "application/zip")])
        )
    assert mail.attachments[0].name == "besar.zip"


def test_threads_share_one_reader() -> None:
    mails = [build_mail(subject=f"mail {n}") for n in range(40)]
    found: dict[int, str] = {}
    with Reader() as reader:

        def read(part: int) -> None:
            for n in range(part, len(mails), 4):
                found[n] = reader.read(mails[n]).subject

        threads = [threading.Thread(target=read, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {n: f"mail {n}" for n in range(40)}


def test_process_ends_with_a_killed_parent() -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from responder.mail.reader import Reader\n"
        "reader = Reader()\n"
        "reader.read(b'Subject: x\\n\\ny')\n"
        "print(Path('/proc/self/task', str(os.getpid()), 'children').read_text(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert wait_for_end(pid)


def test_process_sees_no_secrets_and_loads_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPONDER_IMAP_PASSWORD", "rahasia")
    before = children()
    with Reader() as reader:
        reader.read(build_mail())
        (pid,) = children() - before
        assert b"rahasia" not in Path(f"/proc/{pid}/environ").read_bytes()
        maps = Path(f"/proc/{pid}/maps").read_text()
    for library in ("numpy", "sklearn", "scipy", "sqlalchemy"):
        assert f"/{library}/" not in maps


def test_process_that_does_not_start_is_no_fault_of_the_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a broken installation would quarantine the whole mailbox."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Reader() as reader, pytest.raises(ResponderError, match="does not start") as caught:
        reader.read(build_mail())
    assert not isinstance(caught.value, UnreadableMail)
