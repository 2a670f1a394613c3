"""Files that are whole: a reader, or a power cut, meets the old content or the new, and nothing between.

And whether they are still those that were read.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Stamp = tuple[str, int, int]
"""(path, time of the last change in nanoseconds, octets) of a file."""


@contextmanager
def replacing(path: Path, *, mode: int = 0o666) -> Iterator[Path]:
    """Yield an empty file beside `path`, to be filled; at the end of the block it takes the place of `path`, on disk.

    `mode` are its permissions, less the umask. When the block fails, `path` is as it was. Raises OSError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield part
        sync(part)
        part.replace(path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, on disk before going on (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stamps(*places: Path) -> frozenset[Stamp]:
    """The stamps of files, and of all files in directories and below them.

    What is not there or cannot be read has none: who loads it says what is wrong.
    """
    found = set()
    folders = []
    for place in places:
        with suppress(OSError):
            if place.is_dir():
                folders.append(str(place))
            else:
                found.add(_stamp(str(place), place.stat()))
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry.path)
                elif entry.is_file():
                    found.add(_stamp(entry.path, entry.stat()))
    return frozenset(found)


def _stamp(path: str, stat: os.stat_result) -> Stamp:
    return path, stat.st_mtime_ns, stat.st_size
