"""Everything the records hold about one person, as files that the person can read (UU 27/2022 Pasal 7 and 13)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined
from sqlalchemy import Connection, select

from responder.config import Settings
from responder.errors import Refused
from responder.tickets.database import Database
from responder.tickets.models import AddressNote, Event, Message, Reply, StaffVerdict, Ticket
from responder.tickets.models_staff import Edit, Note
from responder.upkeep import footprint
from responder.upkeep.footprint import Footprint

STAFF = "petugas"
"""Stands for names of staff, who are people too: what was done is the person's data, by whom is not."""

_INDEX = """<!doctype html>
<html lang="id"><head><meta charset="utf-8"><title>Data pribadi {{ address }}</title>
<style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2rem .5rem;text-align:left}
pre{white-space:pre-wrap;background:#f4f4f4;padding:.5rem}</style></head><body>
<h1>Data pribadi yang disimpan tentang {{ address }}</h1>
<p>Dibuat {{ at }}. Berisi {{ tickets|length }} tiket, {{ mails }} surat masuk dan {{ replies }} balasan.
Berkas <code>data.json</code> memuat semuanya dalam bentuk yang dapat dibaca mesin. Nama petugas tidak disertakan.</p>
{% for ticket in tickets %}
<h2>Tiket {{ ticket.number }}: {{ ticket.subject or "(tanpa perihal)" }}</h2>
<p>Status: {{ ticket.status }}. Topik: {{ ticket.topics|join(", ") or "-" }}. Dibuka {{ ticket.created_at }}.</p>
{% for mail in ticket.messages %}
<h3>Surat masuk, {{ mail.received_at }}</h3>
<p>Perihal: {{ mail.subject }}{% if mail.file %} (<a href="{{ mail.file }}">surat asli</a>){% endif %}</p>
<pre>{{ mail.text or "(isi sudah dihapus)" }}</pre>
{% endfor %}
{% for reply in ticket.replies %}
<h3>Balasan ({{ reply.status }}), {{ reply.created_at }}</h3>
<p>Perihal: {{ reply.subject }}{% if reply.file %} (<a href="{{ reply.file }}">surat asli</a>){% endif %}</p>
<pre>{{ reply.text or "(isi sudah dihapus)" }}</pre>
{% endfor %}
{% for note in ticket.notes %}<h3>Catatan petugas, {{ note.at }}</h3><pre>{{ note.text }}</pre>{% endfor %}
<h3>Riwayat</h3><table><tr><th>Waktu</th><th>Oleh</th><th>Tindakan</th></tr>
{% for event in ticket.events %}<tr><td>{{ event.at }}</td><td>{{ event.actor }}</td><td>{{ event.action }}</td></tr>
{% endfor %}</table>
{% endfor %}
{% if others %}<h2>Surat lain</h2><ul>{% for mail in others %}
<li>{{ mail.received_at }}: {{ mail.subject or "(tanpa perihal)" }}, {{ mail.disposition }}
{% if mail.file %}(<a href="{{ mail.file }}">surat asli</a>){% endif %}</li>{% endfor %}</ul>{% endif %}
{% if address_notes %}<h2>Catatan tentang alamat</h2><ul>{% for note in address_notes %}
<li>{{ note.address }}: {{ note.reason }}</li>{% endfor %}</ul>{% endif %}
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """Where an export was written and what is in it."""

    place: Path
    tickets: int
    mails: int
    replies: int


def export(database: Database, settings: Settings, address: str, place: Path, now: datetime) -> Exported:
    """Write everything about the person with `address` to `place`: a new directory, or a file when it ends in ".zip".

    Raises Refused when nothing is known, or when `place` exists or cannot be written.
    """
    with database.read() as connection:
        found = footprint.find(connection, address)
        if found.empty:
            raise Refused(f"{address}: nothing is known about this address")
        data, files = _collect(connection, found, settings.service.zone)
    data = {"address": address, "at": _time(now, settings.service.zone), **data}
    files["data.json"] = json.dumps(data, ensure_ascii=False, indent=1).encode("utf-8", "replace")
    files["indeks.html"] = _index(data).encode("utf-8", "replace")
    try:
        _write(place, files)
    except OSError as error:
        raise Refused(f"{place}: {error.strerror or error}") from error
    return Exported(place, len(found.tickets), data["mails"], data["replies"])


def _collect(
    connection: Connection, found: Footprint, zone: ZoneInfo
) -> tuple[dict[str, Any], dict[str, bytes]]:
    files: dict[str, bytes] = {}

    def plain(row: Any) -> dict[str, Any]:
        return {key: _value(value, zone) for key, value in row._mapping.items()}

    def rows(table: Any, condition: Any, without: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        columns = [column for column in table.__table__.columns if column.name not in without]
        for row in connection.execute(
            select(*columns).where(condition).order_by(*table.__table__.primary_key)
        ):
            yield plain(row)

    def mails(condition: Any) -> Iterator[dict[str, Any]]:
        for mail in rows(Message, condition, ("parts",)):
            file = _keep(files, "surat", mail["id"], mail.pop("raw"))
            yield mail | {"file": file}

    def replies(condition: Any) -> Iterator[dict[str, Any]]:
        for reply in rows(Reply, condition, ("claimed_by", "claimed_until")):
            file = _keep(files, "balasan", reply["id"], reply.pop("data"))
            yield reply | {"decided_by": _actor(reply["decided_by"]), "file": file}

    tickets = [
        ticket
        | {
            "number": ticket["id"],
            "messages": list(mails(Message.ticket_id == ticket["id"])),
            "replies": list(replies(Reply.ticket_id == ticket["id"])),
            "verdicts": [
                one | {"decided_by": _actor(one["decided_by"])}
                for one in rows(StaffVerdict, StaffVerdict.ticket_id == ticket["id"])
            ],
            "notes": list(rows(Note, Note.ticket_id == ticket["id"], ("by",))),
            "edits": list(rows(Edit, Edit.ticket_id == ticket["id"], ("user_id",))),
            "events": [
                one | {"actor": _actor(one["actor"])}
                for one in rows(Event, Event.ticket_id == ticket["id"], ("salt", "digest", "hash"))
            ],
        }
        for ticket in rows(Ticket, Ticket.id.in_(found.tickets))
    ]
    others = list(mails(Message.id.in_(found.messages)))
    return {
        "tickets": tickets,
        "others": others,
        "address_notes": list(rows(AddressNote, AddressNote.address.in_(found.notes))),
        "mails": sum(len(ticket["messages"]) for ticket in tickets) + len(others),
        "replies": sum(len(ticket["replies"]) for ticket in tickets),
        "mentioned_in_tickets_of_others": list(found.mentions),
    }, files


def _keep(files: dict[str, bytes], folder: str, number: int, data: bytes | None) -> str:
    if not data:
        return ""
    name = f"{folder}/{number:06d}.eml"
    files[name] = data
    return name


def _actor(actor: str) -> str:
    return actor if actor in {"", "machine"} else STAFF


def _value(value: Any, zone: ZoneInfo) -> Any:
    return _time(value, zone) if isinstance(value, datetime) else value


def _time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(" ", "seconds")


def _index(data: Mapping[str, Any]) -> str:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_INDEX).render(**data)


def _write(place: Path, files: Mapping[str, bytes]) -> None:
    """Readable by the operator only: the person gets it by a way that the office chooses."""
    if place.suffix == ".zip":
        place.touch(mode=0o600, exist_ok=False)
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(files.items()):
                archive.writestr(name, content)
        return
    place.mkdir(mode=0o700, parents=True)
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(content)
