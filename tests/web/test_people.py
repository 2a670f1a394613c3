"""Accounts: made by admins on the page or by the operator on the terminal."""

from __future__ import annotations

import pytest

from responder.errors import Refused
from responder.tickets import accounts
from responder.tickets.models_staff import Role
from tests.web.conftest import PASSWORD, Pages, text_of


def test_an_admin_makes_an_account_that_can_log_in(pages: Pages) -> None:
    admin = pages.browser("admin.satu", Role.ADMIN)
    admin.post("/akun/tambah", nama="Siti", lengkap="Siti Aminah", peran="senior", sandi=PASSWORD)
    assert "Siti Aminah petugas senior" in text_of(admin.get("/akun").text)
    assert pages.browser().log_in("siti").status_code == 303
    assert ("admin.satu", "account_added") in pages.events()


def test_a_weak_password_is_refused(pages: Pages) -> None:
    admin = pages.browser("admin.satu", Role.ADMIN)
    for weak in ("pendek", "aaaaaaaaaaaaaa", "siti-siti-siti"):
        assert admin.post("/akun/tambah", nama="siti", sandi=weak).status_code == 422


def test_the_last_admin_stays(pages: Pages) -> None:
    admin = pages.browser("admin.satu", Role.ADMIN)
    assert admin.post("/akun/admin.satu/aktif", aktif="false").status_code == 422
    assert admin.post("/akun/admin.satu/peran", peran="petugas").status_code == 422
    pages.browser("admin.dua", Role.ADMIN)
    assert admin.post("/akun/admin.satu/peran", peran="petugas").status_code == 303
    assert admin.get("/akun").status_code == 403


def test_a_new_password_by_an_admin_ends_the_sessions_of_the_account(pages: Pages) -> None:
    admin, browser = pages.browser("admin.satu", Role.ADMIN), pages.browser("budi")
    admin.post("/akun/budi/sandi", sandi="gajah-terbang-tinggi-9")
    assert browser.get("/antrean").status_code == 401
    assert browser.log_in("budi", "gajah-terbang-tinggi-9").status_code == 303


def test_two_accounts_never_share_a_name(pages: Pages) -> None:
    pages.browser("budi")
    with pages.database.begin() as connection, pytest.raises(Refused):
        accounts.add(connection, "BUDI", Role.OFFICER, PASSWORD, "uji", pages.clock())


def test_the_password_is_kept_as_argon2id_only(pages: Pages) -> None:
    pages.browser("budi")
    with pages.database.read() as connection:
        kept = accounts.by_name(connection, "budi")
    assert kept is not None
    assert kept.password_hash.startswith("$argon2id$")
    assert PASSWORD not in kept.password_hash
