"""Why a decision was made: stable codes, and the sentence that staff read."""

from __future__ import annotations

from typing import Final

SURE: Final = "sure"
UNSURE: Final = "unsure"
SECOND_TOPIC: Final = "second_topic"
MIXED: Final = "mixed"
NOTHING_KNOWN: Final = "nothing_known"
NEAR_MISS: Final = "near_miss"
EMPTY: Final = "empty"
THANKS: Final = "thanks"
SPAM: Final = "spam"
AUTO_TEXT: Final = "auto_text"
SUBMISSION: Final = "submission"
FOLLOW_UP: Final = "follow_up"
COMPLAINT: Final = "complaint"
SECURITY: Final = "security"
DEADLINE: Final = "deadline"

REASONS: Final[dict[str, str]] = {
    SURE: "Topiknya jelas dan tidak ada tanda lain.",
    UNSURE: "Topik yang paling mungkin belum cukup pasti; mohon diperiksa.",
    SECOND_TOPIC: "Surat ini mungkin menanyakan lebih dari satu topik; mohon diperiksa.",
    MIXED: "Selain topik yang dikenal, surat ini menyinggung hal yang tidak ada jawabannya.",
    NOTHING_KNOWN: "Isi surat tidak menyerupai topik mana pun.",
    NEAR_MISS: "Mirip dengan topik yang dikenal, tetapi lebih menyerupai perkara yang harus dijawab petugas.",
    EMPTY: "Surat tidak berisi pertanyaan.",
    THANKS: "Surat ini hanya ucapan terima kasih atau konfirmasi.",
    SPAM: "Surat ini menyerupai penawaran jasa atau iklan.",
    AUTO_TEXT: "Surat ini menyerupai balasan otomatis.",
    SUBMISSION: "Pengirim menyerahkan berkas; petugas perlu memeriksanya.",
    FOLLOW_UP: "Pengirim menindaklanjuti permintaan atau pembicaraan sebelumnya.",
    COMPLAINT: "Ada tanda keluhan, keberatan, atau ancaman hukum.",
    SECURITY: "Ada tanda penyalahgunaan akun atau masalah keamanan.",
    DEADLINE: "Ada tenggat yang segera habis.",
}
