"""How the C library keeps memory: of use where many threads take and leave large pieces for years."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # mallopt(3), glibc


def share_arenas() -> None:
    """Have all threads share two arenas of glibc; to be called before they start, elsewhere without effect.

    Each thread would get one of its own, up to eight a core, and keep what it once took: a daemon that lets whichever
    thread is free do a round grows for hours until every arena has seen the largest one. Python's own lock leaves
    little to gain by more arenas.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Return to the system what lies free between pieces in use, after something large was let go; glibc only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
