"""Promise: an approved draft leaves once, in the thread, and stands in Sent; without approval nothing leaves."""

from __future__ import annotations

from tests.scenarios.installation import DRAFTS, SENT, Installation, plain_text, signed_in

SUBJECT = "Lupa password"
BODY = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."


def one_draft(office: Installation) -> str:
    office.ready()
    header_id = office.deliver(SUBJECT, BODY)
    office.poll()
    return header_id


def test_approve_sends_in_thread_and_files_in_sent(office: Installation) -> None:
    header_id = one_draft(office)
    (draft,) = office.folder(DRAFTS)
    office.run("approve", "1", "--yes")
    assert office.poll()["sent"] == 1
    office.poll()
    (reply,) = office.replies_to()
    assert reply["Message-ID"] == draft["Message-ID"]
    assert reply["Date"] == draft["Date"]
    assert reply["In-Reply-To"] == f"<{header_id}>"
    assert reply["Auto-Submitted"] is None
    assert plain_text(reply) == plain_text(draft)
    (filed,) = office.folder(SENT)
    assert filed["Message-ID"] == reply["Message-ID"]
    assert office.folder(DRAFTS) == []
    assert b"\\Answered" in office.flags()[0]
    assert [ticket["status"] for ticket in office.tickets()] == ["answered"]


def test_nothing_leaves_before_arm_nor_after_disarm(office: Installation) -> None:
    office.poll()
    office.deliver(SUBJECT, BODY)
    office.poll()
    office.run("approve", "1", "--yes")
    assert office.poll()["sent"] == 0
    office.run("arm")
    office.run("disarm")
    assert office.poll()["sent"] == 0
    assert office.replies_to() == []
    office.run("arm")
    assert office.poll()["sent"] == 1
    assert len(office.replies_to()) == 1


def test_an_edited_draft_needs_a_new_approval_and_leaves_as_edited(office: Installation) -> None:
    """Rule 78."""
    one_draft(office)
    shown = office.drafts_of(1)[0]["sha256"]
    office.run("edit", "1", "--file", "-", stdin="Yth. Ibu Ratna,\n\nSilakan datang ke kantor kami.\n")
    refused = office.run("approve", "1", "--sha256", shown, status=7)
    assert "no longer the one" in refused.stderr
    office.run("approve", "1", "--sha256", office.drafts_of(1)[0]["sha256"])
    office.poll()
    (reply,) = office.replies_to()
    assert "Silakan datang ke kantor kami." in plain_text(reply)


def test_a_retopiced_draft_answers_the_other_topic(office: Installation) -> None:
    one_draft(office)
    office.run("retopic", "1", "tender-cepat")
    office.run("approve", "1", "--yes")
    office.poll()
    (reply,) = office.replies_to()
    assert "Verified" in plain_text(reply)
    assert "klik lupa password" not in plain_text(reply)


def test_a_draft_with_an_unconfirmed_fact_cannot_be_approved_until_edited(office: Installation) -> None:
    office.ready()
    office.deliver("Ganti email", "Apa persyaratan untuk mengganti email akun LPSE perusahaan kami?")
    office.poll()
    refused = office.run("approve", "1", "--yes", status=7)
    assert "belum dikonfirmasi" in refused.stderr
    office.run("edit", "1", "--file", "-", stdin="Yth. Bapak/Ibu,\n\nSilakan hubungi kami.\n")
    office.run("approve", "1", "--yes")
    assert office.poll()["sent"] == 1


def test_a_rejected_draft_is_never_sent_and_a_person_must_answer(office: Installation) -> None:
    one_draft(office)
    office.run("reject", "1", "--reason", "salah topik")
    office.poll()
    assert office.replies_to() == []
    assert office.folder(DRAFTS) == []
    assert [ticket["status"] for ticket in office.tickets()] == ["needs_staff"]


def test_staff_who_answer_from_their_mail_client_are_not_doubled(office: Installation) -> None:
    """Rule 28b."""
    header_id = one_draft(office)
    office.run("approve", "1", "--yes")
    by_hand = f"From: helpdesk@lpse.example\r\nTo: admin@baharijaya.example\r\nSubject: Re: x\r\nIn-Reply-To: <{header_id}>\r\n"
    with signed_in(office.backend.imap()) as client:
        client.append(
            SENT, (by_hand + "Message-ID: <tangan@lpse.example>\r\n\r\nSudah dijawab.\r\n").encode()
        )
    assert office.poll()["sent"] == 0
    office.poll()
    assert office.replies_to() == []
    assert [ticket["status"] for ticket in office.tickets()] == ["answered"]


def test_a_draft_taken_from_the_drafts_folder_is_not_sent_by_us(office: Installation) -> None:
    """Rule 28b."""
    one_draft(office)
    with signed_in(office.backend.imap()) as client:
        client.select_folder(DRAFTS)
        client.delete_messages(client.search("ALL"))
        client.expunge()
    office.run("approve", "1", "--yes")
    assert office.poll()["sent"] == 0
    assert office.replies_to() == []
    (ticket,) = office.tickets()
    assert ticket["status"] == "needs_staff" and "Draf" in ticket["reason"]


def test_an_approval_taken_back_within_the_undo_window_does_not_leave(office: Installation) -> None:
    office.write_config("[policy]\nundo_seconds = 600")
    one_draft(office)
    office.run("approve", "1", "--yes")
    assert office.poll()["sent"] == 0
    office.run("undo", "1")
    office.poll()
    assert office.replies_to() == []
    assert [ticket["status"] for ticket in office.tickets()] == ["needs_approval"]


def test_verdicts_are_kept_beside_what_was_predicted(office: Installation) -> None:
    one_draft(office)
    office.run("approve", "1", "--yes")
    shown = office.show(1)
    actions = [event["action"] for event in shown["events"]]
    assert actions == ["received", "approval", "approved"]
    received = shown["events"][0]["detail"]
    assert received["topics"] == ["lupa-password"] and received["model"] and received["content"]


def test_a_mail_that_staff_moved_out_of_the_inbox_and_back_does_not_stop_its_draft(
    office: Installation,
) -> None:
    """Rule 50."""
    one_draft(office)
    with signed_in(office.backend.imap()) as client:
        client.select_folder("INBOX")
        uid = client.search("ALL")[-1]
        raw = client.fetch([uid], ["BODY.PEEK[]", "INTERNALDATE"])[uid]
        client.delete_messages([uid])
        client.expunge()
        client.append("INBOX", raw[b"BODY[]"], (), raw[b"INTERNALDATE"])
    office.poll()
    assert [ticket["status"] for ticket in office.tickets()] == ["needs_approval"]
    office.run("approve", "1", "--yes")
    assert office.poll()["sent"] == 1
    assert len(office.replies_to()) == 1
