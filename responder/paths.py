"""Where the shipped templates and content are: inside the wheel, or beside the package in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return the shipped directory `name` ("content" or "templates")."""
    inside = _PACKAGE / "_default" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
