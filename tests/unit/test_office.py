"""What an office has loaded, and when it is loaded again."""

from pathlib import Path
from shutil import copytree

from responder.paths import shipped
from responder.pipeline.office import Office, offices
from tests.office_settings import office_settings


def office(directory: Path, more: str = "", content: Path | None = None) -> Office:
    return offices(office_settings(directory, more, content), signing=False)["kemenperin"]


def test_with_another_configuration_what_comes_from_the_same_files_is_not_loaded_again(
    tmp_path: Path,
) -> None:
    earlier = office(tmp_path)
    topics = earlier.topics
    later = office(tmp_path, "[policy]\nundo_seconds = 7").taking_over(earlier)
    assert later.topics is topics
    assert later.settings.policy.undo_seconds == 7


def test_content_that_has_changed_since_is_loaded_again(tmp_path: Path) -> None:
    content = tmp_path / "isi"
    copytree(shipped("content"), content)
    earlier = office(tmp_path, content=content)
    assert "lupa-password" in earlier.topics
    with (content / "lupa-password" / "answer.md").open("a") as file:
        file.write("\nSatu kalimat lagi.\n")
    later = office(tmp_path, content=content).taking_over(earlier)
    assert later.topics["lupa-password"] != earlier.topics["lupa-password"]
