"""Files replaced as a whole, and whether they have changed."""

import os
from pathlib import Path

import pytest

from responder.files import replacing, stamps


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "fakta.yaml"
    path.write_text("lama")
    with replacing(path) as part:
        part.write_text("baru")
        assert path.read_text() == "lama"
    assert path.read_text() == "baru"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "fakta.yaml"
    path.write_text("lama")
    with pytest.raises(OSError, match="penuh"), replacing(path) as part:
        part.write_text("setengah")
        raise OSError("penuh")
    assert path.read_text() == "lama"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_put_in_its_place_leaves_no_litter(tmp_path: Path) -> None:
    (tmp_path / "terpakai" / "isi").mkdir(parents=True)
    with pytest.raises(OSError), replacing(tmp_path / "terpakai") as part:
        part.write_text("baru")
    assert list(tmp_path.iterdir()) == [tmp_path / "terpakai"]


def test_a_private_file_is_private_before_anything_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "sandi"
    path.write_text("lama")
    path.chmod(0o644)
    with replacing(path, mode=0o600) as part:
        assert part.stat().st_mode & 0o777 == 0o600
        part.write_text("baru")
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_writers_at_once_leave_the_whole_content_of_the_later(tmp_path: Path) -> None:
    path = tmp_path / "fakta.yaml"
    with replacing(path) as slow:
        slow.write_text("pertama")
        with replacing(path) as quick:
            quick.write_text("kedua")
        assert path.read_text() == "kedua"
    assert path.read_text() == "pertama"
    assert list(tmp_path.iterdir()) == [path]


def test_the_stamps_of_a_folder_change_with_every_file_below_it(tmp_path: Path) -> None:
    folder, single = tmp_path / "isi", tmp_path / "model"
    inner = folder / "lupa-password"
    inner.mkdir(parents=True)
    single.write_text("model")
    (inner / "topik.yaml").write_text("lama")
    before = stamps(folder, single)
    assert stamps(folder, single) == before
    (inner / "topik.yaml").write_text("berubah")
    changed = stamps(folder, single)
    assert changed != before
    (inner / "baru.yaml").write_text("baru")
    added = stamps(folder, single)
    assert added != changed
    os.utime(single, ns=(1, 1))
    assert stamps(folder, single) != added


def test_what_is_not_there_has_no_stamps(tmp_path: Path) -> None:
    assert stamps(tmp_path / "belum-ada") == frozenset()
