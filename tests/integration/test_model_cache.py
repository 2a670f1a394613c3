"""Commands without a mailbox keep their model in the user's cache directory, and touch no mailbox's model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from responder.classifier import examples
from responder.paths import shipped

_PER_WRITER = 12  # of each topic: a model that is trained in a moment


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped content with a fraction of its training text."""
    folder = tmp_path_factory.mktemp("isi") / "content"
    shutil.copytree(shipped("content"), folder)
    for path in examples.files(folder):
        lines: list[str] = []
        written: dict[str, int] = {}
        for example in examples.parse(path.read_text(encoding="utf-8"), path.parent.name):
            written[example.writer] = written.get(example.writer, 0) + 1
            if written[example.writer] <= _PER_WRITER:
                lines.append(f"# penulis: {example.writer}\n\nPerihal: {example.subject}\n{example.body}\n")
        path.write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def classify(home: Path, content: Path, *more: str, cwd: Path | None = None) -> dict[str, object]:
    """Run `responder classify` on one mail, as a user with this home directory; return the JSON line."""
    environment = {
        key: value for key, value in os.environ.items() if key not in {"XDG_CACHE_HOME", "RESPONDER_CONFIG"}
    }
    done = subprocess.run(
        [sys.executable, "-m", "responder", "classify", "-", "--content", str(content), *more],
        input='{"id": 1, "subject": "", "body": "Lupa kata sandi akun, bagaimana mengatur ulang?"}\n',
        env=environment | {"HOME": str(home)},
        cwd=cwd or home.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert not done.stderr
    row: dict[str, object] = json.loads(done.stdout)
    return row


def stored(home: Path) -> list[Path]:
    return sorted(home.rglob("*.npz"))


def test_the_second_call_uses_the_model_of_the_first(home: Path, content: Path) -> None:
    first = classify(home, content)
    (path,) = stored(home)
    written = path.stat()
    assert classify(home, content) == first
    assert path.stat().st_mtime_ns == written.st_mtime_ns and path.stat().st_ino == written.st_ino
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_cache_is_trained_anew(home: Path, content: Path, damage: str) -> None:
    first = classify(home, content)
    (path,) = stored(home)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
            "other": b"PK\x05\x06" + bytes(18),
        }[damage]
    )
    assert classify(home, content) == first
    assert path.read_bytes() == whole


def test_changed_content_is_never_judged_by_the_old_model(home: Path, content: Path, tmp_path: Path) -> None:
    classify(home, content)
    changed = tmp_path / "changed"
    shutil.copytree(content, changed)
    with (changed / "ganti-email" / "examples.txt").open("a", encoding="utf-8") as file:
        file.write("\nsatu contoh lagi tentang surel\n")
    classify(home, changed)
    assert len(stored(home)) == 2


def test_a_home_that_cannot_be_written_is_no_error(home: Path, content: Path) -> None:
    (home / ".cache").write_text("a file where the directory should be", encoding="utf-8")
    assert classify(home, content)["id"] == 1
    assert not stored(home)


def test_a_cache_that_others_may_write_is_not_used(home: Path, content: Path) -> None:
    classify(home, content)
    (path,) = stored(home)
    path.unlink()
    path.parent.chmod(0o770)
    classify(home, content)
    assert not stored(home)


def test_other_content_leaves_the_model_of_the_mailbox_alone(
    home: Path, content: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    shutil.copy(shipped("config.toml"), config)
    classify(home, content, "--config", str(config), cwd=tmp_path)
    assert [path for path in tmp_path.rglob("*.npz") if not path.is_relative_to(home)] == []
