"""Reading config.toml: every problem is told with its key and line."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings.exceptions import SettingsError

from responder.config import fields, settings
from responder.config.settings import ENV_PREFIX, Settings
from responder.errors import ConfigError


def load(path: Path) -> Settings:
    """Read config.toml at `path` with the environment over it.

    Raises ConfigError: one line a problem, each naming the key, the file's line where it can, and what is wrong.
    """
    path = path.resolve()
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    root, file = fields.root.set(path.parent), settings.being_read.set(path)
    try:
        return Settings()  # type: ignore[call-arg]  # the sources give `mailboxes`
    except SettingsError as error:
        raise ConfigError(f"{path}: environment override: {error}") from error
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, text, problem) for problem in error.errors())) from None
    finally:
        fields.root.reset(root)
        settings.being_read.reset(file)


def _explain(path: Path, text: str, problem: object) -> str:
    assert isinstance(problem, dict)
    location = tuple(str(part) for part in problem["loc"])
    key = ".".join(location) or "configuration"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "unknown key"
    variable = ENV_PREFIX + "__".join(location).upper()
    if variable in os.environ:
        return f"{variable} (environment): {key}: {message}"
    line = _line_of(text, location)
    return f"{path}{f':{line}' if line else ''}: {key}: {message}"


def _line_of(text: str, location: tuple[str, ...]) -> int | None:
    """Line of the assignment or table header that `location` names; of its nearest parent if it has no own line."""
    table: tuple[str, ...] = ()
    found: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            found.setdefault(table, number)
        elif assignment := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            found.setdefault((*table, *(part.strip("\"'") for part in assignment[1].split("."))), number)
    for length in range(len(location), 0, -1):
        if location[:length] in found:
            return found[location[:length]]
    return None
