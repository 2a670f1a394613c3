"""The JSON API: what a helpdesk that is attached to it sees and decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import update

from responder.errors import Refused
from responder.tickets import accounts, api_tokens, switches
from responder.tickets.models import Message
from responder.tickets.models_staff import Role
from responder.tickets.status import Disposition, ReplyStatus, TicketStatus
from tests.mails import File
from tests.web.conftest import BASE, PASSWORD, QUESTION, Pages

CONTENT = "application/problem+json"


class Program:
    """A program with a token of an account of its own."""

    def __init__(self, pages: Pages, name: str = "budi", role: Role = Role.OFFICER) -> None:
        self.pages = pages
        with pages.database.begin() as connection:
            if accounts.by_name(connection, name) is None:
                accounts.add(connection, name, role, PASSWORD, "uji", pages.clock())
            issued = api_tokens.add(connection, name, "helpdesk", timedelta(days=30), "uji", pages.clock())
        self.token_id, self.token = issued.id, issued.token
        self.client = TestClient(pages.app, base_url=BASE, follow_redirects=False)
        self.client.headers["authorization"] = f"Bearer {issued.token}"

    def get(self, path: str, **query: Any) -> Response:
        return self.client.get(f"/api/v1{path}", params=query)

    def send(self, method: str, path: str, **body: Any) -> Response:
        return self.client.request(method, f"/api/v1{path}", json=body)

    def post(self, path: str, **body: Any) -> Response:
        return self.send("POST", path, **body)

    def approve(self, ticket: int) -> Response:
        draft = self.get(f"/tickets/{ticket}").json()["draft"]
        return self.post(f"/tickets/{ticket}/approve", reply=draft["id"], sha256=draft["sha256"])


def code(answer: Response) -> tuple[int, str]:
    """Status and code of a problem."""
    assert answer.headers["content-type"] == CONTENT, answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"] == f"tag:lpse-responder,2026:{body['code']}"
    return answer.status_code, body["code"]


def test_a_queue_is_read_and_its_ticket_approved(pages: Pages) -> None:
    ticket = pages.receive(subject="Lupa password LPSE")
    program = Program(pages)
    sizes = {one["queue"]: one["size"] for one in program.get("/queues").json()["queues"]}
    assert sizes["to_approve"] == 1
    row = program.get("/queues/to_approve").json()["rows"][0]
    assert (row["ticket"], row["subject"], row["topics"]) == (ticket, "Lupa password LPSE", ["lupa-password"])

    seen = program.get(f"/tickets/{ticket}").json()
    assert "klik lupa password" in seen["draft"]["text"].lower()
    assert seen["choices"][0]["topic"] == "lupa-password"
    assert seen["deciding_words"]
    reply = program.get(f"/tickets/{ticket}/replies/{seen['draft']['id']}").json()
    assert reply["html"].lower().startswith("<!doctype html")

    done = program.approve(ticket)
    assert done.status_code == 200
    assert (done.json()["status"], done.json()["reply_status"]) == ("answered", "approved")
    assert done.json()["leaves_at"] == "2026-11-23T03:01:00Z"
    assert ("budi", "approved") in pages.events(ticket)


def test_an_approval_that_stands_is_answered_and_not_made_again(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    draft = program.get(f"/tickets/{ticket}").json()["draft"]
    wish = {"reply": draft["id"], "sha256": draft["sha256"]}
    answers = [program.post(f"/tickets/{ticket}/approve", **wish).json() for _ in range(2)]
    assert [one["repeated"] for one in answers] == [False, True]
    assert answers[0]["leaves_at"] == answers[1]["leaves_at"]
    assert pages.events(ticket).count(("budi", "approved")) == 1


def test_a_stale_approval_shows_both_texts(pages: Pages) -> None:
    ticket = pages.receive()
    program, other = Program(pages), Program(pages, "siti")
    draft = program.get(f"/tickets/{ticket}").json()["draft"]
    written = draft["text"].replace("klik penyedia", "pilih menu")
    edited = other.send("PUT", f"/tickets/{ticket}/draft", text=written, based_on=draft["id"]).json()

    answer = program.post(f"/tickets/{ticket}/approve", reply=draft["id"], sha256=draft["sha256"])
    assert code(answer) == (409, "stale")
    problem = answer.json()
    assert problem["shown"]["text"] == draft["text"]
    assert problem["current"]["reply"] == edited["reply"]
    again = {"reply": problem["current"]["reply"], "sha256": problem["current"]["sha256"]}
    assert program.post(f"/tickets/{ticket}/approve", **again).status_code == 200


def test_a_wrong_hash_is_stale(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    answer = program.post(f"/tickets/{ticket}/approve", reply=pages.draft(ticket).id, sha256="0" * 64)
    assert code(answer) == (409, "stale")
    assert answer.json()["current"]["sha256"] == pages.draft(ticket).sha256


def test_a_decided_reply_says_so(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    draft = pages.draft(ticket)
    assert program.post(f"/tickets/{ticket}/reject", reason="salah topik").json()["status"] == "needs_staff"
    answer = program.post(f"/tickets/{ticket}/approve", reply=draft.id, sha256=draft.sha256)
    assert code(answer) == (409, "decided")
    assert code(program.post(f"/tickets/{ticket}/reject")) == (409, "refused")


def test_a_newer_mail_makes_the_approval_stale(pages: Pages) -> None:
    ticket, other = pages.receive(), pages.receive()
    program = Program(pages)
    with pages.database.begin() as connection:
        connection.execute(update(Message).where(Message.ticket_id == other).values(ticket_id=ticket))
    assert program.get(f"/tickets/{ticket}").json()["stale"] is True
    assert code(program.approve(ticket)) == (409, "newer_mail")


def test_an_unconfirmed_fact_keeps_a_draft_from_leaving(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    text = "Silakan hubungi [belum dikonfirmasi: nomor telepon]."
    wish = {"text": text, "based_on": pages.draft(ticket).id}
    assert code(program.send("PUT", f"/tickets/{ticket}/draft", **wish, approve=True)) == (409, "unconfirmed")
    assert program.send("PUT", f"/tickets/{ticket}/draft", **wish).status_code == 200
    assert code(program.approve(ticket)) == (409, "unconfirmed")


def test_an_approval_is_undone_until_it_leaves(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    reply = program.approve(ticket).json()["reply"]
    for repeated in (False, True):
        undone = program.post(f"/tickets/{ticket}/undo", reply=reply).json()
        assert (undone["reply_status"], undone["repeated"]) == ("drafted", repeated)
    program.approve(ticket)
    pages.set_reply(reply, status=ReplyStatus.SENT)
    assert code(program.post(f"/tickets/{ticket}/undo", reply=reply)) == (409, "too_late")


def test_a_failed_reply_is_sent_again(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    reply = program.approve(ticket).json()["reply"]
    pages.set_reply(reply, status=ReplyStatus.FAILED)
    assert program.get("/queues/failed").json()["rows"] == []  # answered: its ticket waits for nobody
    assert program.post(f"/tickets/{ticket}/send-again", reply=reply).json()["reply_status"] == "approved"
    assert program.post(f"/tickets/{ticket}/send-again", reply=reply).json()["repeated"] is True
    assert ("budi", "send_again") in pages.events(ticket)


def test_topics_are_changed_and_an_answer_is_written_by_hand(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    assert program.post(f"/tickets/{ticket}/topics", topics=["ganti-email"]).status_code == 200
    assert pages.draft(ticket).topics == ["ganti-email"]
    assert code(program.post(f"/tickets/{ticket}/topics", topics=["tidak-ada"])) == (409, "refused")
    program.post(f"/tickets/{ticket}/reject")
    done = program.send(
        "PUT", f"/tickets/{ticket}/draft", text="Yth. Bapak/Ibu, silakan datang.", approve=True
    )
    assert done.json()["reply_status"] == "approved"
    assert pages.replies(ticket, ReplyStatus.APPROVED)[0].kind.value == "manual"


def test_a_ticket_is_not_closed_over_a_mail_that_came_meanwhile(pages: Pages) -> None:
    ticket, other = pages.receive(), pages.receive()
    program = Program(pages)
    shown = program.get(f"/tickets/{ticket}").json()["newest"]
    with pages.database.begin() as connection:
        connection.execute(update(Message).where(Message.ticket_id == other).values(ticket_id=ticket))
    assert code(program.post(f"/tickets/{ticket}/close", newest=shown)) == (409, "newer_mail")
    newest = program.get(f"/tickets/{ticket}").json()["newest"]
    assert program.post(f"/tickets/{ticket}/close", newest=newest).json()["status"] == "closed"


def test_a_closed_ticket_stays_closed(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    assert program.post(f"/tickets/{ticket}/close", reason="spam").json()["repeated"] is False
    assert program.post(f"/tickets/{ticket}/close").json()["repeated"] is True
    assert pages.ticket(ticket).status is TicketStatus.CLOSED
    assert pages.events(ticket).count(("budi", "closed")) == 1


def test_a_blind_audit_hides_what_we_think_until_the_choice(pages: Pages) -> None:
    ticket = pages.receive(blind=True)
    program = Program(pages)
    draft = pages.draft(ticket)
    seen = program.get(f"/tickets/{ticket}")
    assert seen.json()["blind"] is True
    assert draft.sha256 not in seen.text
    assert "klik lupa password" not in seen.text.lower()
    assert (seen.json()["topics"], seen.json()["choices"], seen.json()["events"]) == ([], [], [])
    assert code(program.get(f"/tickets/{ticket}/replies/{draft.id}")) == (409, "blind")
    wish = {"reply": draft.id, "sha256": draft.sha256}
    assert code(program.post(f"/tickets/{ticket}/approve", **wish)) == (409, "blind")
    assert code(program.post(f"/tickets/{ticket}/topics", topics=["ganti-email"])) == (409, "blind")

    assert program.post(f"/tickets/{ticket}/audit", topics=["lupa-password"]).json()["same"] is True
    assert pages.verdict(ticket).manner == "audit"
    assert program.approve(ticket).status_code == 200
    assert code(program.post(f"/tickets/{ticket}/audit", topics=[])) == (409, "refused")


def test_a_batch_is_approved_within_one_topic(pages: Pages) -> None:
    tickets = [pages.receive(), pages.receive()]
    program = Program(pages)
    drafts = [{"reply": one.id, "sha256": one.sha256} for one in map(pages.draft, tickets)]
    done = program.post("/batches", topic="lupa-password", drafts=drafts).json()
    assert done["approved"] == tickets
    assert pages.verdict(tickets[0]).manner == "batch"
    assert len(program.post("/batches", topic="lupa-password", drafts=drafts).json()["refused"]) == 2


def test_personal_numbers_are_masked_and_showing_them_is_logged(pages: Pages) -> None:
    ticket = pages.receive(QUESTION + " NIK saya 3174012509900001.")
    program = Program(pages)
    assert "3174012509900001" not in program.get(f"/tickets/{ticket}").text
    assert "3174012509900001" not in program.get("/queues/to_approve").text
    assert ("budi", "revealed") not in pages.events(ticket)
    shown = program.get(f"/tickets/{ticket}", unmask=True)
    assert "3174012509900001" in shown.json()["mails"][0]["new_text"]
    assert ("budi", "revealed") in pages.events(ticket)


def test_an_attachment_is_handed_over_and_logged(pages: Pages) -> None:
    ticket = pages.receive(attachments=[File("akta.pdf", b"%PDF-1.4 akta"), File("jahat.exe", b"MZ")])
    program = Program(pages)
    seen = program.get(f"/tickets/{ticket}").json()
    numbers = {one["name"]: one["number"] for one in seen["files"]}
    assert numbers["jahat.exe"] is None
    answer = program.get(f"/tickets/{ticket}/mails/{seen['newest']}/attachments/{numbers['akta.pdf']}")
    assert answer.content == b"%PDF-1.4 akta"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert ("budi", "attachment_taken") in pages.events(ticket)


def test_notes_seniors_presence_and_unfinished_texts(pages: Pages) -> None:
    ticket = pages.receive()
    program, senior = Program(pages), Program(pages, "siti", Role.SENIOR)
    assert program.post(f"/tickets/{ticket}/notes", text="sudah ditelepon").status_code == 201
    assert code(program.post(f"/tickets/{ticket}/notes", text=" ")) == (409, "refused")
    assert program.send("PUT", f"/tickets/{ticket}/senior", reason="ragu").json()["repeated"] is False
    assert program.send("PUT", f"/tickets/{ticket}/senior").json()["repeated"] is True
    assert code(program.client.delete(f"/api/v1/tickets/{ticket}/senior")) == (403, "forbidden")
    assert [one["ticket"] for one in senior.get("/queues/to_approve", senior=True).json()["rows"]] == [ticket]
    assert senior.client.delete(f"/api/v1/tickets/{ticket}/senior").status_code == 200
    assert [one["text"] for one in senior.get(f"/tickets/{ticket}").json()["notes"]] == [
        "sudah ditelepon",
        "ragu",
    ]

    program.client.put(f"/api/v1/tickets/{ticket}/presence", params={"editing": "true"})
    others = senior.client.put(f"/api/v1/tickets/{ticket}/presence").json()["others"]
    assert [(one["name"], one["editing"]) for one in others] == [("budi", True)]
    wish = {"text": "Yth. Bapak", "based_on": pages.draft(ticket).id}
    assert program.send("PUT", f"/tickets/{ticket}/unfinished", **wish).json()["text"] == "Yth. Bapak"
    assert program.get(f"/tickets/{ticket}/unfinished").json()["text"] == "Yth. Bapak"
    assert senior.get(f"/tickets/{ticket}").json()["unfinished"] is None
    assert program.client.delete(f"/api/v1/tickets/{ticket}/unfinished").status_code == 204
    assert code(program.get(f"/tickets/{ticket}/unfinished")) == (404, "not_found")


def test_pages_of_a_queue_follow_one_another(pages: Pages) -> None:
    tickets = [pages.receive() for _ in range(3)]
    program = Program(pages)
    first = program.get("/queues/to_approve", limit=2).json()
    second = program.get("/queues/to_approve", limit=2, after=first["next"]).json()
    assert [one["ticket"] for one in first["rows"] + second["rows"]] == tickets
    assert second["next"] == ""
    assert code(program.get("/queues/to_approve", after="kemarin")) == (422, "invalid")
    assert code(program.get("/queues/to_approve", after="20269999T000000000000-1")) == (404, "not_found")
    assert program.get("/queues/to_approve", topic="ganti-email").json()["rows"] == []


def test_search_finds_words_and_numbers(pages: Pages) -> None:
    ticket = pages.receive(subject="Aanwijzing pagi")
    program = Program(pages)
    for words in ("aanwijz", f"LPSE-{ticket:06d}"):
        assert [one["ticket"] for one in program.get("/search", q=words).json()["rows"]] == [ticket]
    assert program.get("/search", q="aanwijzing", status="closed").json() == {"rows": [], "more": False}


def test_a_quarantined_mail_is_put_back_to_work(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    with pages.database.begin() as connection:
        connection.execute(
            update(Message)
            .where(Message.ticket_id == ticket)
            .values(disposition=Disposition.QUARANTINED, reason="terlalu dalam")
        )
    (row,) = program.get("/quarantine").json()["messages"]
    assert row["reason"] == "terlalu dalam"
    assert program.post(f"/quarantine/{row['id']}/retry").status_code == 200
    assert code(program.post(f"/quarantine/{row['id']}/retry")) == (409, "refused")


def test_a_senior_stops_and_allows_sending(pages: Pages) -> None:
    program, senior = Program(pages), Program(pages, "siti", Role.SENIOR)
    assert code(program.send("PUT", "/sending", armed=True)) == (403, "forbidden")
    assert senior.send("PUT", "/sending", armed=True).json()["armed"] is True
    pages.clock.forward(minutes=5)
    assert senior.send("PUT", "/sending", armed=True).json()["since"] == "2026-11-23T03:00:00Z"
    with pages.database.begin() as connection:
        switches.trip_breaker(connection, "terlalu banyak", pages.clock())
    assert program.get("/status").json()["sending"]["breaker"] == "terlalu banyak"
    assert senior.send("PUT", "/sending", armed=False).json()["armed"] is False
    assert [event for event in pages.events() if event[1] in {"armed", "disarmed"}] == [
        ("siti", "armed"),
        ("siti", "disarmed"),
    ]


def test_accounts_are_for_admins(pages: Pages) -> None:
    admin = Program(pages, "admin.satu", Role.ADMIN)
    made = admin.post("/accounts", name="Siti", full_name="Siti Aminah", role="senior", password=PASSWORD)
    assert (made.status_code, made.json()["name"], made.json()["role"]) == (201, "siti", "senior")
    assert "password_hash" not in made.text
    assert code(admin.post("/accounts", name="siti", password=PASSWORD)) == (409, "refused")
    assert code(admin.post("/accounts", name="budi", password="pendek")) == (409, "refused")
    assert admin.send("PATCH", "/accounts/siti", role="petugas", active=False).json()["active"] is False
    assert code(admin.send("PATCH", "/accounts/admin.satu", active=False)) == (409, "refused")
    assert code(admin.send("PATCH", "/accounts/tidak.ada", active=False)) == (404, "not_found")
    assert code(Program(pages, "wati", Role.SENIOR).get("/accounts")) == (403, "forbidden")


def test_a_token_ends_when_it_expires_is_revoked_or_its_account_is_off(pages: Pages) -> None:
    expired, revoked, off = (Program(pages, name) for name in ("budi", "siti", "wati"))
    assert expired.get("/me").json()["name"] == "budi"
    with pages.database.begin() as connection:
        api_tokens.revoke(connection, revoked.token_id, "uji", pages.clock())
        accounts.set_active(connection, "wati", False, "uji", pages.clock())
        with pytest.raises(Refused):
            api_tokens.revoke(connection, revoked.token_id, "uji", pages.clock())
    assert code(revoked.get("/me")) == (401, "unauthenticated")
    assert code(off.get("/me")) == (401, "unauthenticated")
    pages.clock.forward(days=31)
    answer = expired.get("/me")
    assert code(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_is_kept_as_a_hash_and_its_use_is_noted(pages: Pages) -> None:
    program = Program(pages)
    pages.clock.forward(minutes=2)
    program.get("/me")
    with pages.database.read() as connection:
        (row,) = api_tokens.listed(connection)
        raw = connection.exec_driver_sql("SELECT * FROM api_tokens").one()
    assert row.last_used_at == pages.clock()
    assert program.token not in map(str, raw)


def test_a_log_in_of_the_pages_is_no_token(pages: Pages) -> None:
    browser = pages.browser("budi")
    assert code(browser.get("/api/v1/queues")) == (401, "unauthenticated")


def test_what_does_not_fit_is_said_by_place(pages: Pages) -> None:
    ticket = pages.receive()
    program = Program(pages)
    answer = program.post(f"/tickets/{ticket}/approve", reply="satu", sha256="x", lain=1)
    assert code(answer) == (422, "invalid")
    assert {one["location"] for one in answer.json()["errors"]} == {"body.reply", "body.sha256", "body.lain"}
    assert code(program.client.post(f"/api/v1/tickets/{ticket}/approve", content=b"{")) == (422, "invalid")
    assert code(program.get("/tickets/999999")) == (404, "not_found")
    assert code(program.get("/tidak-ada")) == (404, "not_found")
    assert code(program.client.delete("/api/v1/queues")) == (405, "not_served")
    assert program.get("/queues", since="0001-01-01", until="9999-12-31").status_code == 200


def test_the_description_is_open_and_names_every_route(pages: Pages) -> None:
    document = TestClient(pages.app, base_url=BASE).get("/api/openapi.json").json()
    assert document["servers"] == [{"url": "/api"}]
    assert "/v1/tickets/{ticket_id}/approve" in document["paths"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["security"] == [{"token": []}]
