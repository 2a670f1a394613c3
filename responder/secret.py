"""Where a secret stands outside config.toml, and reading it: a file, an environment variable, a systemd credential."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from responder.errors import ConfigError

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""Set by systemd for a unit with LoadCredential= or SetCredential= (systemd.exec(5))."""


@dataclass(frozen=True, slots=True)
class Secret:
    """At most one of the three is given."""

    what: str  # whose secret, for messages: "password of lpse at imap.example"
    file: Path | None
    variable: str  # name of an environment variable
    credential: str  # name of a systemd credential

    @property
    def given(self) -> bool:
        return bool(self.file or self.variable or self.credential)

    @property
    def path(self) -> Path | None:
        """The file that holds the secret, if a file does and this process was given it."""
        if self.credential:
            directory = os.environ.get(CREDENTIALS_DIRECTORY)
            return Path(directory) / self.credential if directory else None
        return self.file

    def read(self) -> str:
        """Return the secret without the line end of its file; "" when none is given. Raises ConfigError."""
        if self.variable:
            try:
                return os.environ[self.variable]
            except KeyError:
                raise ConfigError(f"{self.what}: environment variable {self.variable} is not set") from None
        if not self.given:
            return ""
        if self.path is None:
            raise ConfigError(
                f"{self.what}: {CREDENTIALS_DIRECTORY} is not set; systemd sets it for a unit with "
                f"LoadCredential={self.credential}:/path/of/the/secret"
            )
        try:
            secret = self.path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise ConfigError(f"{self.what}: cannot read {self.path}: {reason}") from error
        if not secret:
            raise ConfigError(f"{self.what}: {self.path} is empty")
        return secret


def versions(paths: Iterable[Path]) -> tuple[tuple[Path, int], ...]:
    """Return each file with its time of change in ns since 1970, 0 when it is not there."""
    found = []
    for path in paths:
        try:
            found.append((path, path.stat().st_mtime_ns))
        except OSError:
            found.append((path, 0))
    return tuple(found)
