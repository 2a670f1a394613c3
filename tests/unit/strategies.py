"""Hypothesis strategies for what senders, and attackers, put into mails: headers, MIME structures, HTML.

`long` profile: RESPONDER_FUZZ=long in the environment runs the same tests a hundred times longer.
"""

from __future__ import annotations

import base64
import binascii
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONG = os.environ.get("RESPONDER_FUZZ") == "long"


def _items(text: str) -> list[str]:
    return text.split(" ")


# The normal run keeps seconds; deadlines are off because machines differ and hangs have the test's time-out.
fuzz = settings(
    max_examples=15_000 if LONG else 150,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

WORDS = _items(
    "halo mohon bantuan reset kata sandi akun SPSE penyedia — „kutip“ é 你好 \u202e \xa0 =?utf-8?q?a?= {{7*7}}"
)
CHARSETS = _items(
    "utf-8 us-ascii iso-8859-1 windows-1252 iso-2022-jp gb2312 utf-16 utf-7 koi8-r x-unknown hex idna "
    "unicode_escape punycode cp1252;x \0 undefined base64 utf-8-sig big5 hz"
)
ENCODINGS = ["7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "BASE64 (x)", "rot13", ""]
LINE_ENDS = [b"\r\n", b"\n", b"\r"]
NAMES = _items(
    "From To Cc Subject Date Message-ID References In-Reply-To Content-Type Reply-To Return-Path Sender "
    "Auto-Submitted Authentication-Results X-Loop Received Content-Transfer-Encoding"
)

words = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
texts = st.one_of(words, st.text(max_size=200), st.text("\r\n\t >-=_*.:", max_size=60))
_PIECES = _items("=? ?= =?utf-8?q? =?x?b? x.id *0*= '' filename \0 é \u2028 mailto: %zz boundary=b \x1b$B")
pieces = st.sampled_from([*_PIECES, *"\"\\()<>@,;:[] \ta='\n", "\r\n "])
scraps = st.lists(pieces, max_size=40).map("".join)
atoms = st.text("abcdefghij.-_", min_size=1, max_size=10)
addresses = st.builds("{}@{}.example".format, atoms, atoms)
mailboxes = st.one_of(
    addresses, st.builds('"{}" <{}>'.format, words, addresses), st.builds("{} <{}>".format, words, addresses)
)
encoded_words = st.builds(
    lambda charset, text: f"=?{charset}?b?{base64.b64encode(text.encode('utf-8', 'replace')).decode()}?=",
    st.sampled_from(CHARSETS),
    texts,
)
values = st.one_of(
    mailboxes, scraps, words, encoded_words, st.lists(encoded_words, max_size=4).map(" ".join), texts
)
headers = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=12).map(
    lambda pairs: "".join(f"{name}: {value}\n" for name, value in pairs)
)

STYLES = _items(
    "display:none font-size:0 color:#fff background:#000 background:url(x) visibility:visible opacity:.5 max-height:0 "
    "border:none;border-top:solid text-indent:-9e9px /* ;;:; font:0/0\xa0a color:rgb(999,1,1)"
)
TAGS = _items(
    "p div span b a blockquote table tr td ul ol li pre style script title font br hr img svg math template select "
    "plaintext xmp textarea noscript iframe form h1 body html head option !-- !doctype"
)
EXTRAS = [
    "",
    "hidden",
    'class="h"',
    'href="http://a.example/"',
    "bgcolor=red",
    'src="cid:a"',
    "type=cite",
    "'",
    '"',
    "/",
]
_opening = st.builds(
    lambda tag, style, extra: f'<{tag} style="{style}" {extra}>',
    st.sampled_from(TAGS),
    st.sampled_from(STYLES),
    st.sampled_from(EXTRAS),
)
_closing = st.sampled_from(TAGS).map("</{}>".format)
_loose = st.sampled_from(["<", ">", "&", "&nbsp;", "&#0;", "-->", "<style>.h{display:none}</style>"])
pages = st.lists(st.one_of(_opening, _closing, words, _loose), max_size=40).map("".join)


def _encode(text: str, encoding: str) -> str:
    octets = text.encode("utf-8", "replace")
    if encoding.lower().startswith("base64"):
        return base64.encodebytes(octets).decode()
    if encoding == "quoted-printable":
        return binascii.b2a_qp(octets).decode()
    return text


def _leaf(kind: str, charset: str, encoding: str, text: str, extra: str) -> str:
    return (
        f"Content-Type: {kind}; charset={charset}\nContent-Transfer-Encoding: {encoding}\n{extra}\n"
        f"{_encode(text, encoding)}"
    )


leaves = st.builds(
    _leaf,
    st.sampled_from(
        _items(
            "text/plain text/html application/pdf message/rfc822 message/delivery-status application/ms-tnef image/png "
            "application/pkcs7-mime text text/x-y multipart/mixed"
        )
    ),
    st.sampled_from(CHARSETS),
    st.sampled_from(ENCODINGS),
    st.one_of(texts, pages, headers),
    st.one_of(st.just(""), scraps.map(lambda s: f"Content-Disposition: attachment; filename={s}\n"), headers),
)


def _multipart(kind: str, boundary: str, parts: list[str], closed: bool) -> str:
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n{body}' + (
        f"--{boundary}--\n" if closed else ""
    )


structures = st.recursive(
    leaves,
    lambda inner: st.builds(
        _multipart,
        st.sampled_from(["mixed", "alternative", "related", "report", "signed", "digest", "encrypted", "x"]),
        st.sampled_from(["a", "b", "a--", "=_x y", "é", ""]),
        st.lists(inner, max_size=4),
        st.booleans(),
    ),
    max_leaves=12,
)


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    """A mail with drawn headers and structure, now and then damaged."""
    raw = (draw(headers) + draw(structures)).encode("utf-8", "replace")
    raw = raw.replace(b"\r\n", b"\n").replace(b"\n", draw(st.sampled_from(LINE_ENDS)))
    if draw(st.integers(0, 3)) == 0 and raw:
        start = draw(st.integers(0, len(raw) - 1))
        raw = raw[:start] + draw(st.binary(max_size=20)) + raw[start + draw(st.integers(0, 40)) :]
    return raw
