"""Memory that is free goes back to the system."""

import os

from bench.vitals import look
from responder import memory


def resident_mb() -> float:
    return look(os.getpid()).anonymous_mb


def test_what_lies_free_between_pieces_in_use_is_given_back() -> None:
    pieces = [bytes([number % 256]) * 2000 for number in range(50_000)]
    last = pieces[-1]  # keeps the C library from giving back by itself what is below it
    held = resident_mb()
    del pieces
    free = resident_mb()
    memory.give_back()
    given = resident_mb()
    assert len(last) == 2000
    assert held - given > 70
    assert free - given > 30
