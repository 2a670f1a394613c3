"""Where the shipped templates, content and example configuration are: in the wheel, or beside the package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return the shipped `name` ("content", "templates" or "config.toml")."""
    inside = _PACKAGE / "_default" / name
    return inside if inside.exists() else _PACKAGE.parent / name
