"""`responder init`: a directory that is ready to be filled in. Nothing that exists is overwritten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from responder.errors import ConfigError
from responder.paths import shipped
from responder.pipeline.office import make_key

KEY_FILE = Path("state/secret.key")


def make_starter(directory: Path) -> Iterator[str]:
    """Write what is missing in `directory`; yield a line for each thing made or left. Raises ConfigError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield _copy(shipped("config.toml"), directory / "config.toml")
        for name in ("content", "templates"):
            yield _copy(shipped(name), directory / name)
        made = make_key(directory / KEY_FILE)
    except OSError as error:
        raise ConfigError(f"{directory}: cannot write the starter directory: {error.strerror}") from error
    yield f"{'made' if made else 'kept'} {directory / KEY_FILE} (keep a copy of it in a safe place)"
    yield f"next: edit {directory / 'config.toml'}, then run `responder check` in {directory}"


def _copy(source: Path, target: Path) -> str:
    if target.exists():
        return f"kept {target}"
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)
    return f"made {target}"
