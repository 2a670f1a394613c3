"""Several connections to one SMTP server, where its answers are slow enough for that to pay."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from types import TracebackType
from typing import Self

from responder.config import SmtpServer
from responder.errors import MailServerError
from responder.mail.smtp import SmtpSession

SLOW_SECONDS = 0.05
"""A server that took longer than this to greet and sign in answers slowly enough to be asked side by side. A faster one
takes some hundred replies a second on one connection."""


class SmtpSessions:
    """At least one connection, at most `wanted` and what the configuration allows. Each is for one reply at a time."""

    def __init__(self, sessions: Sequence[SmtpSession]) -> None:
        self.sessions = sessions

    @classmethod
    def connect(cls, server: SmtpServer, password: str, wanted: int) -> Self:
        """Connect and sign in. Raises LoginError when the credentials are refused, else MailServerError.

        Only the first connection is needed: providers limit how many there may be, and say so by refusing one.
        """
        most = min(wanted, server.max_connections)
        with ThreadPoolExecutor(most, "smtp-connect") as threads:
            first = threads.submit(SmtpSession.connect, server, password)
            wait([first], SLOW_SECONDS)

            def after_the_first() -> None:
                # Credentials are tried once: a provider locks an account after a few refusals (rule 62). To the others
                # that is no refusal of theirs, or each would connect again with a renewed token.
                if first.exception() is not None:
                    raise MailServerError("the first connection could not be signed in")

            more = [
                threads.submit(SmtpSession.connect, server, password, before_sign_in=after_the_first)
                for _ in range(0 if first.done() else most - 1)
            ]
        sessions = [first.result()]
        for one in more:
            with suppress(MailServerError):
                sessions.append(one.result())
        return cls(sessions)

    def __enter__(self) -> Sequence[SmtpSession]:
        return self.sessions

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if len(self.sessions) == 1:
            self.sessions[0].close()
            return
        with ThreadPoolExecutor(len(self.sessions), "smtp-close") as threads:
            for session in self.sessions:
                threads.submit(session.close)
