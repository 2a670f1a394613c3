"""What the sections of config.toml are made of."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

root: ContextVar[Path] = ContextVar("config_root", default=Path())
"""The folder of the config.toml that is being read."""

RelativePath = Annotated[Path, AfterValidator(lambda path: (root.get() / path.expanduser()).resolve())]
"""A path that is relative to the folder of config.toml."""

CredentialName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]{0,200})?$")]
"""A name of systemd's LoadCredential=, which is a file name; "" for none."""

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class Section(BaseModel):
    """A table of config.toml; an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def one_of(**given: object) -> None:
    """Raise ValueError when more than one of the alternatives `given` (key=value) is set."""
    if len(names := [name for name, value in given.items() if value]) > 1:
        raise ValueError(f"give {names[0]} or {names[1]}, not both")
