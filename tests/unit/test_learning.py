"""Labelled text keeps no personal numbers."""

from __future__ import annotations

from responder.pipeline.learning import masked


def test_addresses_and_long_numbers_are_masked() -> None:
    text = "NIK 3201 0123 4567 0001, NPWP 01.234.567.8-901.000, telp 0812-0000-1234, surel budi@pt.example, 5 lembar, tahun 2026"
    kept = masked(text)
    for secret in ("3201", "234", "0812", "budi", "pt.example"):
        assert secret not in kept
    assert "5 lembar" in kept and "2026" in kept
