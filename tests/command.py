"""Running a command through the real entry point, in this process."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import NamedTuple
from unittest import mock

from responder.cli import main


class Ended(NamedTuple):
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


class _Stdin(io.TextIOWrapper):
    """Standard input that commands may read as text or as octets."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")


def run(*arguments: str, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Ended:
    """Run `responder` with `arguments` to its end."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["responder", *arguments]),
        mock.patch.object(sys, "stdin", _Stdin(stdin)),
        mock.patch.dict(os.environ, environment or {}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(bool(exit_.code))
    return Ended(code, out.getvalue(), err.getvalue())
