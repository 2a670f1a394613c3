"""Topics and what is known of the vendor → the text and HTML of a reply.

Templates and content are the office's versioned files; words of a mail only ever enter as data (rule 67). The machine
picks and fills approved text and writes none of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from functools import lru_cache
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    meta,
    nodes,
    select_autoescape,
)
from markupsafe import Markup

from responder.config import MailboxConfig, Service
from responder.errors import ContentError
from responder.knowledge import markdown, places
from responder.knowledge.checklist import Checklist
from responder.knowledge.places import unconfirmed_markers
from responder.knowledge.topic import Link, Topic
from responder.replies.html import html_from_text, link_host, page
from responder.replies.vendor import VendorContext

__all__ = [
    "Office",
    "RenderedReply",
    "Renderer",
    "VendorContext",
    "html_from_text",
    "link_hosts",
    "unconfirmed_markers",
]

LONGEST_PART = (
    120_000  # characters: all nine topics in one reply are under 40,000; more is a template gone wild
)

CACHED_SENTENCES = 512
CACHED_SECTIONS = 128  # topics times the days that a service runs without a restart

_HTML = ".html.j2"
_REPLIES = ("answer", "acknowledgement", "documents_received")
_LETTER = re.compile(r"\w")
_PREVIEW_TAG = "[LPSE-000000-xxxxx]"
_ZONES = MappingProxyType(
    {"Asia/Jakarta": "WIB", "Asia/Pontianak": "WIB", "Asia/Makassar": "WITA", "Asia/Jayapura": "WIT"}
)


@dataclass(frozen=True, slots=True)
class Office:
    """The office as vendors see it."""

    unit: str  # "LPSE Kementerian Perindustrian"
    address: str  # mailbox that answers
    days: str = "Senin-Jumat"
    opens: time = time(8, 0)
    closes: time = time(16, 0)
    zone: str = "WIB"  # abbreviation shown after the hours

    @classmethod
    def of(cls, mailbox: MailboxConfig, service: Service) -> Office:
        """The office that `mailbox` and `service` of config.toml describe."""
        zone = _ZONES.get(service.time_zone, service.time_zone)
        return cls(mailbox.unit, mailbox.address, service.days, service.opens, service.closes, zone)

    @property
    def hours(self) -> str:
        """Service days and hours in Indonesian form: "Senin-Jumat pukul 08.00-16.00 WIB"."""
        return f"{self.days} pukul {self.opens:%H.%M}-{self.closes:%H.%M} {self.zone}"


@dataclass(frozen=True, slots=True)
class RenderedReply:
    """A reply before it is composed as mail. LF line ends, no trailing white space."""

    subject: str  # "" = the subject of the mail that is answered (rule 35)
    text: str
    html: str
    unconfirmed: tuple[
        str, ...
    ] = ()  # markers that stand in the text; while there is one, approval is refused
    problems: tuple[str, ...] = ()  # Indonesian: why this may not be sent automatically
    attachments: tuple[Path, ...] = ()  # forms from the topics' folders


@dataclass(frozen=True, slots=True)
class _ShownLink:
    label: str
    url: str  # "" while the address is not confirmed
    shown: str  # the address or the marker


@dataclass(frozen=True, slots=True)
class _Section:
    """One topic, ready for both templates."""

    title: str
    text: str
    html: Markup
    notes_text: tuple[str, ...]
    notes_html: tuple[Markup, ...]
    links: tuple[_ShownLink, ...]
    attachments: tuple[str, ...]


class Renderer:
    """The reply templates of one folder, checked once when made."""

    def __init__(self, templates: Path) -> None:
        """Load `templates`/replies/*.j2. Raises ContentError naming file and line of what is wrong."""
        folder = templates / "replies"
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            autoescape=select_autoescape(enabled_extensions=(_HTML.removeprefix("."),), default=False),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,  # the office makes a renderer anew when a file has changed
        )
        # Most of a letter are the same sentences in every letter.
        self._environment.filters["wrap"] = lru_cache(CACHED_SENTENCES)(markdown.wrap)
        self._acknowledgements: dict[tuple[str, Office, str], RenderedReply | None] = {}
        self._sections: dict[tuple[str, str, date], _Section] = {}
        sources = self._check(folder)
        self.version = hashlib.sha256("\0".join(chain(*sorted(sources.items()))).encode()).hexdigest()

    def render_answer(
        self, topics: Sequence[Topic], vendor: VendorContext, office: Office, ticket_tag: str, on: date
    ) -> RenderedReply:
        """Answer with `topics` in the order given, one reply for all; `on` decides which notes are valid.

        Raises ContentError when a place stays unfilled or a template fails; such a reply must never be sent.
        """
        sections = [self._section_of(topic, on) for topic in topics]
        return self._reply(
            "answer",
            {"sections": sections, "vendor": vendor, "office": office, "ticket_tag": ticket_tag},
            problems=tuple(f"{topic.slug}: {problem}" for topic in topics for problem in topic.problems(on)),
            attachments=tuple(topic.path / name for topic in topics for name in topic.attachments),
        )

    def _section_of(self, topic: Topic, on: date) -> _Section:
        """`topic` as it reads on the day `on`; kept, because nothing of it depends on the mail."""
        key = (topic.slug, topic.digest, on)
        if key not in self._sections:
            if len(self._sections) >= CACHED_SECTIONS:
                self._sections.clear()
            self._sections[key] = _section(topic, on)
        return self._sections[key]

    def render_acknowledgement(self, vendor: VendorContext, office: Office, ticket_tag: str) -> RenderedReply:
        """Confirm receipt in fixed words; nothing of the mail is repeated, not even the sender's name (rule 36)."""
        subject = f"{ticket_tag} Email Bapak/Ibu telah kami terima"
        vendor = VendorContext(language=vendor.language)
        # The office's answer to hundreds of mails a day differs in its number alone, which the template passes on as
        # it is: that is seen once for each length of it, and taken back if it should not be so.
        stand_in = _LETTER.sub("x", ticket_tag)
        key = (vendor.language, office, stand_in)
        if key not in self._acknowledgements:
            made, model = (
                self._reply("acknowledgement", {"vendor": vendor, "office": office, "ticket_tag": tag})
                for tag in (ticket_tag, stand_in)
            )
            same = _renumbered(model, stand_in, ticket_tag, "") == made
            self._acknowledgements[key] = model if same else None
        known = self._acknowledgements[key]
        if known is None:
            context = {"vendor": vendor, "office": office, "ticket_tag": ticket_tag}
            return self._reply("acknowledgement", context, subject)
        return _renumbered(known, stand_in, ticket_tag, subject)

    def render_documents_received(
        self, topic: Topic, checklist: Checklist, vendor: VendorContext, office: Office, ticket_tag: str
    ) -> RenderedReply:
        """Say which documents seem to have come and which seem to be missing; always for a person to check first."""
        context = {
            "title": topic.title,
            "received": [document.name for document in checklist.received],
            "missing": [document.name for document in checklist.seemingly_missing],
            "vendor": vendor,
            "office": office,
            "ticket_tag": ticket_tag,
        }
        problems = ("konfirmasi penerimaan dokumen selalu diperiksa petugas",)
        return self._reply("documents_received", context, problems=problems)

    def preview(self, topic: Topic, office: Office, on: date) -> RenderedReply:
        """What a vendor would get for `topic` on the day `on`."""
        return self.render_answer([topic], VendorContext(), office, _PREVIEW_TAG, on)

    def _reply(
        self,
        name: str,
        context: Mapping[str, Any],
        subject: str = "",
        problems: tuple[str, ...] = (),
        attachments: tuple[Path, ...] = (),
    ) -> RenderedReply:
        text = _tidy(self._render(f"{name}.txt.j2", context))
        html = page(self._render(f"{name}{_HTML}", context))
        return RenderedReply(subject, text, html, tuple(unconfirmed_markers(text)), problems, attachments)

    def _render(self, name: str, context: Mapping[str, Any]) -> str:
        parts: list[str] = []
        size = 0
        try:
            for part in self._environment.get_template(name).generate(context):
                parts.append(part)
                size += len(part)
                if size > LONGEST_PART:
                    raise ContentError(
                        f"{name}: hasilnya lebih dari {LONGEST_PART} karakter; periksa templat dan isi"
                    )
        except TemplateError as error:
            raise ContentError(f"{name}: templat gagal: {error.message}") from error
        rendered = "".join(parts)
        if places.stray_braces(rendered, lists_allowed=False) or places.facts_in(rendered):
            raise ContentError(
                f"{name}: masih ada tempat isian {{{{ … }}}} yang tidak terisi; jalankan content lint"
            )
        return rendered

    def _check(self, folder: Path) -> dict[str, str]:
        """Parse every template and look for variables that nothing fills; return file name → source."""
        sources: dict[str, str] = {}
        for reply in _REPLIES:
            for name in (f"{reply}.txt.j2", f"{reply}{_HTML}"):
                if not (folder / name).is_file():
                    raise ContentError(f"{folder / name}: templat tidak ada; salin dari templat bawaan")
        for path in sorted(folder.glob("*.j2")):
            try:
                sources[path.name] = path.read_text(encoding="utf-8")
                tree = self._environment.parse(sources[path.name], path.name, str(path))
                self._environment.get_template(path.name)
            except (OSError, UnicodeDecodeError) as error:
                raise ContentError(f"{path}: tidak dapat dibaca: {error}") from error
            except TemplateError as error:
                raise ContentError(
                    f"{path}:{getattr(error, 'lineno', 0)}: templat salah: {error.message}"
                ) from error
            # Blocks see the imports and macros at the top of their file; `meta` reports them as undeclared.
            own = {node.target for node in tree.find_all(nodes.Import)} | {
                m.name for m in tree.find_all(nodes.Macro)
            }
            unknown = meta.find_undeclared_variables(tree) - own - _known(path.name)
            for node in tree.find_all(nodes.Name):
                if node.name in unknown:
                    raise ContentError(
                        f"{path}:{node.lineno}: variabel {node.name!r} tidak dikenal di templat ini"
                    )
        return sources


def _renumbered(reply: RenderedReply, number: str, to: str, subject: str) -> RenderedReply:
    return replace(
        reply, subject=subject, text=reply.text.replace(number, to), html=reply.html.replace(number, to)
    )


def link_hosts(topics: Sequence[Topic]) -> frozenset[str]:
    """Hosts of every link that `topics` show: the ones that edited text may make clickable."""
    urls = [places.fill(link.url, _facts(topic)) for topic in topics for link in topic.links]
    urls += [target for topic in topics for target in markdown.link_targets(_body(topic))]
    return frozenset(host for url in urls if (host := link_host(url)))


def _known(template: str) -> set[str]:
    common = {"vendor", "office", "ticket_tag"}
    if template.startswith("answer."):
        return common | {"sections"}
    if template.startswith("documents_received."):
        return common | {"title", "received", "missing"}
    return common


def _section(topic: Topic, on: date) -> _Section:
    facts = _facts(topic)
    try:
        body = _body(topic)
        notes = [places.fill_markdown(note.text, facts, {}) for note in topic.notes if note.valid(on)]
        links = [_link(topic, link, facts) for link in topic.links]
    except KeyError as error:
        raise ContentError(
            f"{topic.slug}: tempat isian {error} tidak dapat diisi; jalankan content lint"
        ) from error
    return _Section(
        title=topic.title,
        text=markdown.to_text(body),
        html=Markup(markdown.to_html(body)),  # noqa: S704 - made from Markdown with raw HTML switched off
        notes_text=tuple(markdown.to_text(note) for note in notes),
        notes_html=tuple(Markup(markdown.to_html(note)) for note in notes),  # noqa: S704 - as above
        links=tuple(link for link in links if link.shown),
        attachments=topic.attachments,
    )


def _link(topic: Topic, link: Link, facts: Mapping[str, str]) -> _ShownLink:
    key = places.only_a_fact(link.url)
    shown = places.fill(link.url, facts)
    return _ShownLink(link.label, shown if key is None or key in topic.confirmed else "", shown)


def _body(topic: Topic) -> str:
    lists: dict[str, list[str]] = {}
    for document in topic.documents:
        lists.setdefault(document.applies_to, []).append(document.wording or document.name)
    return places.fill_markdown(topic.body, _facts(topic), lists)


def _facts(topic: Topic) -> dict[str, str]:
    """What stands in each place: the settled value, or the marker of what nobody has confirmed."""
    return {fact.key: places.marker(fact.what) for fact in topic.unconfirmed} | topic.confirmed


def _tidy(text: str) -> str:
    """No white space at line ends, never two empty lines in a row, one newline at the end."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines).strip("\n") + "\n"
