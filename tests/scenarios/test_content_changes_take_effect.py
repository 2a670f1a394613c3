"""Promise: what the content owner changes or confirms is in the next draft, also under a running daemon."""

from __future__ import annotations

import shutil

from tests.scenarios.installation import ROOT, Installation


def test_a_running_daemon_drafts_with_content_confirmed_meanwhile(dovecot_office: Installation) -> None:
    office = dovecot_office
    shutil.copytree(ROOT / "content", office.directory / "content")
    office.write_config("[policy]\nundo_seconds = 0\n[schedule]\npoll = 1")
    office.config.write_text(office.config.read_text().replace(str(ROOT / "content"), "content"))
    office.ready()
    daemon = office.start("run")
    try:
        assert daemon.stdout is not None
        office.deliver("Ganti alamat", "Kantor pindah. Apa syarat mengubah alamat domisili perusahaan?")
        for line in daemon.stdout:
            if "handled=1" in line:
                break
        assert "[belum dikonfirmasi: nilai meterai]" in " ".join(office.drafts_of(1)[0]["text"].split())
        office.run("content", "confirm", "ganti-alamat", "nilai_meterai", "--value", "Rp10.000,-")
        office.deliver("Alamat", "Apa syarat ganti alamat kantor di akun LPSE?", sender="b@lain.example")
        for line in daemon.stdout:
            if "handled=1" in line:
                break
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)
    assert "bermaterai Rp10.000,-" in " ".join(office.drafts_of(2)[0]["text"].split())
