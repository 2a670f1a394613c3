"""What a reply says of the vendor: language, and the name to greet, only when it is surely a person's name."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_NAME = 60  # characters
MOST_WORDS = 6

# A word of a name: letters with inner ' or -, or a short title or initial before a full stop ("Dr.", "H.", "M.").
# A full stop is allowed only at the end: "evil.example" must not become a link in the greeting.
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|[A-Za-z]{1,4}\.")
_DEGREES = re.compile(r"[A-Za-z.,\s]+")

# Display names that are an office, a firm or a function and would read wrongly after "Bapak/Ibu".
_OFFICES_AND_FIRMS = """
pt cv ud pd tbk firma koperasi kop yayasan perum persero bumd bumn perusahaan company ltd inc corp group
admin administrator administrasi adm info marketing sales tender lelang pengadaan procurement finance keuangan
office kantor dinas kementerian lpse helpdesk support staff staf tim team hrd legal sekretariat user me noreply
reply mail email gmail yahoo cs customer service direktur komisaris konsultan kontraktor supplier vendor penyedia
"""
_NO_PERSON = frozenset(_OFFICES_AND_FIRMS.split())


@dataclass(frozen=True, slots=True)
class VendorContext:
    """What is known of the person who wrote."""

    name: str = ""  # display name of the From header, decoded; as the sender chose it
    language: str = "id"  # "id", "en" or "other": the language of the mail

    @property
    def greeting_name(self) -> str:
        """The name for the salutation; "" when it is not surely a person's name (rules 67 and 68)."""
        return clean_name(self.name)


def clean_name(name: str) -> str:
    """Return `name` fit for "Yth. Bapak/Ibu …", or "" when anything about it is doubtful.

    White space is folded, academic degrees after a comma are left out, and a name all in capitals or all in small
    letters is written with initial capitals.
    """
    given, comma, degrees = " ".join(name.split()).strip("\"' ").partition(",")
    words = given.split()
    if not words or len(given) > LONGEST_NAME or len(words) > MOST_WORDS:
        return ""
    if comma and not ("." in degrees and _DEGREES.fullmatch(degrees)):
        return ""  # "Santoso, Budi", or something else: which part is the name is not known
    if (
        not all(_WORD.fullmatch(word) for word in words)
        or {word.casefold().strip(".") for word in words} & _NO_PERSON
    ):
        return ""
    if max(len(word) for word in words) < 2:
        return ""
    return given.title() if given.isupper() or given.islower() else given
