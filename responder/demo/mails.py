"""The demo's mails: a dozen and more that an LPSE helpdesk gets on an ordinary morning. All names are invented."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

AUTHSERV_ID = "mx.demo.example"

# Senders whose tickets the stage puts into a state of their own.
ANGRY = "keluhan@marahbesar.example"
MASKED = "info@suryamandiri.example"
BLIND = "kontak@penapersada.example"
FAILED = "dagang@gudangbesar.example"
CLOSED = "wahyu@sudahbisa.example"


@dataclass(frozen=True, slots=True)
class DemoMail:
    """One mail of a vendor, or of a machine."""

    sender: str
    name: str
    subject: str
    body: str
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[str, ...] = ()
    authenticated: bool = True

    def message(self, to: str, number: int, now: datetime) -> EmailMessage:
        """Return the mail as the demo's receiving server would hand it over, with its verdict on the sender."""
        domain = self.sender.rpartition("@")[2]
        mail = EmailMessage()
        verdict = (
            f"dmarc=pass header.from={domain}" if self.authenticated else f"dmarc=none header.from={domain}"
        )
        mail["Authentication-Results"] = f"{AUTHSERV_ID}; {verdict}"
        mail["From"] = f"{self.name} <{self.sender}>"
        mail["To"] = to
        mail["Subject"] = self.subject
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<demo-{number}-{int(now.timestamp())}@{domain}>"
        for header, value in self.headers:
            mail[header] = value
        mail.set_content(self.body)
        for attachment in self.attachments:
            mail.add_attachment(b"%PDF-1.4 demo", maintype="application", subtype="pdf", filename=attachment)
        return mail


MAILS = (
    DemoMail(
        "admin@baharijaya.example",
        "Ratna Dewi",
        "Lupa password LPSE",
        "Selamat pagi Bapak/Ibu,\n\nKami lupa password akun LPSE Kemenperin perusahaan kami. User ID masih ada dan email "
        "yang terdaftar masih aktif. Bagaimana cara mereset password-nya?\n\nTerima kasih,\nRatna Dewi\nPT Bahari Jaya\n",
    ),
    DemoMail(
        "cv.sinarteknik@surelku.example",
        "CV Sinar Teknik",
        "tanya",
        "min pw lpse sy ilang, gmn cara reset nya ya? makasih\n",
    ),
    DemoMail(
        "legal@nusantaramesin.example",
        "Bagus Pranata",
        "Penggantian email akun penyedia",
        "Yth. LPSE Kementerian Perindustrian,\n\nEmail perusahaan yang terdaftar di akun LPSE kami sudah tidak dapat diakses "
        "karena domain lama kami tidak diperpanjang. Mohon informasi persyaratan untuk mengganti email terdaftar.\n\n"
        "Hormat kami,\nBagus Pranata\nPT Nusantara Mesin\nAlamat: Jl. Melati 4, Gresik\n",
    ),
    DemoMail(
        "tender@karyaabadi.example",
        "Sri Lestari",
        "Undangan tender cepat",
        "Dengan hormat,\n\nPerusahaan kami belum pernah mendapat undangan tender cepat padahal sudah mengisi SIKaP. "
        "Apa syaratnya supaya kami diundang?\n\nSri Lestari\nCV Karya Abadi\n",
    ),
    DemoMail(
        "it@mitradata.example",
        "Yoga Permana",
        "Data SIKaP tidak muncul di LPSE",
        "Halo admin,\n\nData perusahaan sudah kami isi lengkap di SIKaP, tapi di akun LPSE Kemenperin masih kosong. "
        "Bagaimana cara menarik data SIKaP ke LPSE?\n\nYoga\n",
    ),
    DemoMail(
        "office@kestrelworks.example",
        "Helen Tan",
        "SIKaP verification",
        "Dear Sir or Madam,\n\nOur data in SIKaP is still not verified. Who verifies the SIKaP data and when will it be "
        "done?\n\nKind regards,\nHelen Tan\n",
    ),
    DemoMail(
        "dir@cahayakonsultan.example",
        "Ir. Anwar Hakim",
        "Pindah kantor dan ganti email",
        "Selamat siang,\n\nKantor kami pindah dari Bekasi ke Karawang dan domain email perusahaan juga berganti. Apa saja "
        "persyaratan untuk mengganti alamat dan email di akun LPSE?\n\nAnwar Hakim\nPT Cahaya Konsultan\n",
    ),
    DemoMail(
        "marketing@bangunsejati.example",
        "Dwi Astuti",
        "Pendaftaran penyedia baru",
        "Yth. Admin LPSE,\n\nKami perusahaan baru dan ingin mendaftar sebagai penyedia di LPSE Kementerian Perindustrian. "
        "Apa saja dokumen yang harus disiapkan dan bagaimana langkahnya?\n\nDwi Astuti\nPT Bangun Sejati\n",
    ),
    DemoMail(
        "sekretaris@lokajaya.example",
        "Fikri",
        "Perubahan nama direktur",
        "Dengan hormat,\n\nDirektur perusahaan kami telah berganti sesuai akta terbaru. Bagaimana cara mengubah nama "
        "direktur pada akun penyedia?\n\nFikri\n",
    ),
    DemoMail(
        ANGRY,
        "H. Mansur",
        "KECEWA",
        "Sudah tiga kali kami kirim surat tidak ada jawaban! Kami akan melapor ke Ombudsman kalau hari ini belum juga "
        "dijawab. Mohon atasan Anda menghubungi kami.\n",
    ),
    DemoMail(
        "admin@warnapersada.example",
        "Tuti Herawati",
        "Berkas ganti email PT Warna Persada",
        "Yth. LPSE,\n\nBersama ini kami kirimkan berkas persyaratan penggantian email. Mohon diproses.\n\nTuti Herawati\n",
        attachments=("Surat permohonan ganti email.pdf", "KTP direktur.pdf", "NPWP perusahaan.pdf"),
    ),
    DemoMail(
        "info@tanpabukti.example",
        "Rudi",
        "Reset password",
        "Pagi, saya lupa password akun LPSE, bagaimana cara meresetnya?\n",
        authenticated=False,
    ),
    DemoMail(
        "budi@liburpanjang.example",
        "Budi",
        "Balasan otomatis: Informasi LPSE",
        "Saya sedang cuti sampai hari Senin dan akan membalas setelah kembali.\n",
        headers=(("Auto-Submitted", "auto-replied"),),
    ),
    DemoMail(
        "mailer-daemon@mx.jauh.example",
        "Mail Delivery System",
        "Undelivered Mail Returned to Sender",
        "This is the mail system at host mx.jauh.example.\n\n<vendor@hilang.example>: host said: 550 5.1.1 User unknown\n",
        headers=(("Auto-Submitted", "auto-replied"), ("Return-Path", "<>")),
    ),
    DemoMail(
        "berita@asosiasi.example",
        "Buletin Asosiasi",
        "Buletin pengadaan minggu ini",
        "Berita pengadaan minggu ini: tender cepat, SIKaP, dan pendaftaran penyedia.\n",
        headers=(("List-Id", "<buletin.asosiasi.example>"), ("Precedence", "bulk")),
    ),
    DemoMail(
        MASKED,
        "Surya Mandiri",
        "Lupa sandi LPSE",
        "Selamat pagi,\n\nKami lupa password akun LPSE Kemenperin. NIK direktur 3271012345670001, HP 0812-0000-0000, password "
        "lama: contoh12345. Mohon info cara mereset password-nya.\n\nSurya Mandiri\n",
        authenticated=False,
    ),
    DemoMail(
        BLIND,
        "CV Pena Persada",
        "Undangan tender cepat",
        "Yth. LPSE,\n\nApa syaratnya supaya perusahaan kami mendapat undangan tender cepat?\n\nCV Pena Persada\n",
        authenticated=False,
    ),
    DemoMail(
        FAILED,
        "UD Gudang Besar",
        "Tarik data SIKaP",
        "Halo admin, data SIKaP perusahaan belum tampil di LPSE Kemenperin. Bagaimana cara menarik data SIKaP ke LPSE?\n",
        authenticated=False,
    ),
    DemoMail(
        CLOSED,
        "Wahyu",
        "Terima kasih",
        "Terima kasih banyak atas bantuannya, sudah berhasil.\n",
    ),
)
