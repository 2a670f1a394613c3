"""An SMTP server that does something of the test's choice when the dialogue comes to a point."""

from __future__ import annotations

from collections.abc import Callable

from tests.faulty_smtp import Accepted, At, Fault, FaultySmtp

Action = Callable[[], None]


class WatchedSmtp(FaultySmtp):
    """Set `when[point]` to what shall happen there, in the server's thread; "kept": the mail is taken, no answer yet."""

    def __init__(self) -> None:
        super().__init__()
        self.when: dict[str, Action] = {}

    def take_fault(self, at: At, recipient: str) -> Fault | None:
        self._act(at)
        return super().take_fault(at, recipient)

    def keep(self, mail: Accepted) -> int:
        number = super().keep(mail)
        self._act("kept")
        return number

    def once(self, at: str, action: Action) -> None:
        """Do `action` the next time that the dialogue comes to `at`."""

        def act() -> None:
            del self.when[at]
            action()

        self.when[at] = act

    def _act(self, at: str) -> None:
        if action := self.when.get(at):
            action()
