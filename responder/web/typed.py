"""What people type, as it is stored: without control characters, which no keyboard makes and no mail should hold."""

from __future__ import annotations

from pydantic import AfterValidator

_CONTROLS = dict.fromkeys(code for code in (*range(32), 127) if chr(code) not in "\t\n\r")


def printable(text: str) -> str:
    """`text` without control characters except tabs and ends of lines. PostgreSQL takes no NUL at all."""
    return text.translate(_CONTROLS)


Printable = AfterValidator(printable)
