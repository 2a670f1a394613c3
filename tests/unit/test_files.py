"""Files replaced as a whole."""

from pathlib import Path

import pytest

from responder.files import replacing


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
