"""Real servers on loopback, each with a port of its own: mail-devel, Dovecot, and an SMTP server that fails on order.

Every server is a context manager that returns once it answers, and is gone when the context ends.
"""

from __future__ import annotations

import contextlib
import copy
import getpass
import grp
import os
import pwd
import shlex
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from imapclient import IMAPClient

from responder.config import ImapServer, SmtpServer

HOST = "127.0.0.1"
PASSWORD = "rahasia-uji"  # of every account here
PATIENCE = 30  # seconds until a server that does not answer is a failed test
DOVECOT = Path("/usr/sbin/dovecot")

_DOVECOT_CONF = """\
base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/log
protocols = imap
listen = 127.0.0.1
disable_plaintext_auth = no
auth_failure_delay = 0
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
last_valid_uid = 4294967294
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail} gid={mail_group} home={directory}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    auto = subscribe
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Junk {{
    auto = subscribe
    special_use = \\Junk
  }}
  mailbox Approved {{
    auto = subscribe
  }}
  mailbox Rejected {{
    auto = subscribe
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
{tls}
"""
_DOVECOT_TLS = "ssl = yes\nssl_cert = <{certificate}\nssl_key = <{key}\n"
_DOVECOT_OAUTH2 = """\
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {tokens}
}}
"""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], what: str) -> None:
    """Call `ready` until it returns True. Its own connection attempt paces the calls."""
    end = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {PATIENCE} s")
        threading.Event().wait(0.02)


def answers(port: int, greeting: bytes) -> bool:
    """Whether a server on `port` greets with `greeting`."""
    try:
        with socket.create_connection((HOST, port), 1) as connection:
            return connection.recv(100).startswith(greeting)
    except OSError:
        return False


def make_certificate(directory: Path, host: str = "127.0.0.1") -> tuple[Path, Path]:
    """A self-made certificate for `host`, and its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        shlex.split(
            f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={host} -keyout {key} -out {certificate} "
            f"-addext subjectAltName={'IP' if host == HOST else 'DNS'}:{host}"
        ),
        check=True,
        capture_output=True,
    )
    return certificate, key


class _Process:
    """A server process: started, waited for, ended by its own handle."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, command: list[str], log: Path, ready: Callable[[], bool]) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
            )

        def answered() -> bool:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended:\n{log.read_text(errors='replace')}")
            return ready()

        wait_until(answered, f"{command[0]} answering")

    def stop(self) -> None:
        """End the server; its data stays for a `start`."""
        process, self._process = self._process, None
        if process is not None:
            # The whole group at once: Dovecot's children outlive a terminated master for seconds.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)


class MailDevel(_Process):
    """mail-devel with a mailbox for every address: mail sent over its SMTP arrives in the IMAP INBOX of its To."""

    def __init__(self, user: str = "lpse@contoh.go.id") -> None:
        super().__init__()
        self.user = user
        self.imap_port = free_port()
        self.smtp_port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="mail-devel-"))

    def __enter__(self) -> Self:
        self._run(
            shlex.split(
                f"{sys.executable} -m mail_devel --host {HOST} --multi-user --no-http --user {self.user} "
                f"--password {PASSWORD} --imap-port {self.imap_port} --smtp-port {self.smtp_port}"
            ),
            self._directory / "log",
            lambda: answers(self.imap_port, b"* OK") and answers(self.smtp_port, b"220"),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def imap(self, user: str = "") -> ImapServer:
        """Settings for the mailbox of `user`."""
        return ImapServer(
            host=HOST, port=self.imap_port, security="none", username=user or self.user, timeout_seconds=10
        )

    def smtp(self) -> SmtpServer:
        return SmtpServer(
            host=HOST, port=self.smtp_port, security="none", username=self.user, timeout_seconds=10
        )

    def deliver(self, data: bytes, *, sender: str = "penguji@contoh.id", to: str = "") -> None:
        """Hand `data` in over SMTP, as a vendor's server would."""
        with smtplib.SMTP(HOST, self.smtp_port, timeout=10) as smtp:
            smtp.sendmail(sender, [to or self.user], data)


class Dovecot(_Process):
    """Dovecot from Debian, configured for itself: Maildir, SPECIAL-USE, UIDPLUS, MOVE, IDLE; any user may log in."""

    def __init__(
        self,
        users: tuple[str, ...] = ("lpse@contoh.go.id",),
        *,
        tls: bool = False,
        capability: str = "",
        tokeninfo: str = "",
    ) -> None:
        super().__init__()
        self.users = users
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        # Not pytest's own directory: under root, Dovecot reads mail as another user, who may not pass through that.
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.directory.chmod(0o755)
        self.certificate: Path | None = None
        self.capability = capability  # what it says it can; "": all it can
        self.tokeninfo = tokeninfo  # where it asks whose a token is, which is appended; "": passwords only

    def __enter__(self) -> Self:
        (self.directory / "mail").mkdir()
        (self.directory / "run").mkdir()
        me = getpass.getuser()
        group = grp.getgrgid(os.getgid()).gr_name
        names = {"internal": me, "internal_group": group, "login": me, "mail": me, "mail_group": group}
        if os.getuid() == 0:
            # Dovecot refuses to serve mail or to take log-ins as root: Debian's package made users for both.
            names = {"internal": "dovecot", "internal_group": "dovecot", "login": "dovenull"}
            names |= {"mail": "mail", "mail_group": "mail"}
            account = pwd.getpwnam("mail")
            os.chown(self.directory / "mail", account.pw_uid, account.pw_gid)
        tls = "ssl = no"
        if self.tls_port:
            self.certificate, key = make_certificate(self.directory)
            tls = _DOVECOT_TLS.format(certificate=self.certificate, key=key)
        conf = _DOVECOT_CONF.format(
            directory=self.directory,
            password=PASSWORD,
            port=self.port,
            tls_port=self.tls_port,
            tls=tls,
            **names,
        )
        if self.capability:
            conf += f"imap_capability = {self.capability}\n"
        if self.tokeninfo:
            tokens = self.directory / "oauth2.conf"
            tokens.write_text(f"tokeninfo_url = {self.tokeninfo}\nusername_attribute = email\n")
            conf += _DOVECOT_OAUTH2.format(tokens=tokens)
        (self.directory / "dovecot.conf").write_text(conf)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start again after `stop`, on the same port and with the same mail."""
        self._run(
            [str(DOVECOT), "-F", "-c", str(self.directory / "dovecot.conf")],
            self.directory / "log",
            lambda: answers(self.port, b"* OK"),
        )

    def view(self, user: str) -> Dovecot:
        """The same running server with `user` as its first: an empty mailbox for one test."""
        other = copy.copy(self)
        other.users = (user,)
        return other

    def imap(self, user: str = "") -> ImapServer:
        """Settings for the mailbox of `user`, by default the first."""
        return ImapServer(
            host=HOST, port=self.port, security="none", username=user or self.users[0], timeout_seconds=10
        )

    @contextlib.contextmanager
    def client(self, user: str = "", folder: str = "INBOX") -> Iterator[IMAPClient]:
        """Another client on the mailbox, as staff have it, with `folder` selected."""
        with IMAPClient(HOST, self.port, ssl=False, timeout=10) as client:
            client.login(user or self.users[0], PASSWORD)
            client.select_folder(folder)
            yield client

    def deliver(self, data: bytes, *, user: str = "", folder: str = "INBOX") -> int:
        """Put `data` into a folder; return its UID."""
        with self.client(user, folder) as client:
            answer: bytes = client.append(folder, data)
        return int(answer.split(b"]")[0].split()[-1])
