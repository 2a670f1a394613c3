"""Models for commands that serve no mailbox: kept in the user's cache directory, so that only the first one trains."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from responder.classifier.model import TARGET_ERROR, Model, content_digest, load
from responder.errors import ModelError

_KEPT = 4  # models of other content: trying a change and going back should not train twice


def cached(content: Path, target_error: float = TARGET_ERROR) -> Model:
    """Return the model of `content`, from the cache when there is one that fits, and cached when it can be.

    Raises ContentError when the training text or the word lists cannot be read.
    """
    directory = _directory()
    path = directory / f"{content_digest(content)[:32]}-{target_error:g}.npz" if directory else None
    if path is not None:
        with suppress(ModelError):
            return load(path, content)
    # SciPy takes time and memory to load; scoring does without.
    from responder.classifier.train import train

    model = train(content, target_error=target_error)
    if path is not None:
        # A full or read-only disk costs the next command some seconds and this one nothing.
        with suppress(OSError):
            model.save(path)
            _forget(path)
    return model


def _directory() -> Path | None:
    """Return a directory that is ours alone, made if need be; None when there cannot be one."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "")
    try:
        # The specification of XDG_CACHE_HOME has relative paths ignored.
        directory = (base if base.is_absolute() else Path.home() / ".cache") / "lpse-responder"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except (OSError, RuntimeError):
        return None
    # A model that others can write decides what is sent unseen.
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return directory if ours and not stat.S_IMODE(found.st_mode) & 0o077 else None


def _forget(kept: Path) -> None:
    """Remove all but the newest models beside `kept`."""
    others = sorted(
        (path for path in kept.parent.glob("*.npz") if path != kept),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for path in others[_KEPT:]:
        path.unlink()
