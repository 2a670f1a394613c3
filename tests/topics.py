"""The one factory of topic folders, for all tests of the project."""

from __future__ import annotations

from pathlib import Path

from responder.knowledge.load import load_topics
from responder.knowledge.topic import Topic

HEAD = """title: Ganti sandi
owner: Pengelola
source: uji
review_by: 2030-01-01
"""
BODY = "1. klik login\n2. klik lupa password\n"


def write_topic(
    directory: Path, slug: str = "ganti-sandi", head: str = "", body: str = BODY, examples: str | None = None
) -> Path:
    """Write a topic folder: the usual front matter with `head` after it, and `examples` (its slug by default)."""
    folder = directory / slug
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answer.md").write_text(f"---\n{HEAD}{head}---\n{body}", encoding="utf-8")
    (folder / "examples.txt").write_text(
        examples if examples is not None else f"contoh {slug}\n", encoding="utf-8"
    )
    return folder


def make_topic(directory: Path, slug: str = "ganti-sandi", head: str = "", body: str = BODY) -> Topic:
    """Write a topic folder and load it."""
    write_topic(directory, slug, head, body)
    return load_topics(directory)[slug]
