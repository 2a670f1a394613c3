"""Promise: `responder run` answers at once, reads its configuration again when told to, and ends in time."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from sqlalchemy import select

from responder.pipeline.filing import BATCH
from responder.tickets.database import Database
from responder.tickets.models import Reply
from responder.tickets.models_upkeep import Alarm, Job
from tests.daemon import running
from tests.imap_proxy import ImapProxy
from tests.postgres import Postgres
from tests.scenarios.faults import TOPIC
from tests.scenarios.installation import DRAFTS, Installation
from tests.servers import wait_until

QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."
RARELY = "[policy]\nundo_seconds = 0\n[schedule]\npoll = 3600\nreconcile = 3600\n"
OFTEN = "[policy]\nundo_seconds = 0\n[schedule]\npoll = 1\n"
MANY = 24  # replies, more than are sent side by side
AUTOMATIC = '[policy]\nundo_seconds = 0\nmode = "auto"\nrequire_evidence = false\n[schedule]\npoll = 1\n'


def database_of(office: Installation) -> Database:
    return Database(f"sqlite:///{office.directory}/state/responder.db")


def alarms_of(office: Installation) -> dict[str, str]:
    """Key → text of the alarms that hold."""
    database = database_of(office)
    with database.read() as connection:
        rows = connection.execute(select(Alarm.key, Alarm.text).where(Alarm.recovered_at.is_(None))).all()
    database.close()
    return {row.key: row.text for row in rows}


def test_mail_is_drafted_when_the_server_tells_of_it_not_when_the_schedule_comes(
    dovecot_office: Installation,
) -> None:
    """Rule 61: IDLE on a connection of its own; the next round on the schedule is an hour away."""
    office = dovecot_office
    office.write_config(RARELY)
    office.ready()
    with running(office) as daemon:
        daemon.logs("listening")
        office.deliver("Lupa password", QUESTION)
        wait_until(lambda: len(office.tickets()) == 1, "a ticket")
        office.deliver("Lupa password", QUESTION, sender="admin@lain.example")
        wait_until(lambda: len(office.tickets()) == 2, "a second ticket")


def test_mail_is_drafted_while_the_smtp_server_is_away(dovecot_office: Installation) -> None:
    """The mailbox waits for no SMTP server: that one is left alone for an hour here."""
    office = dovecot_office
    sink = office.backend.sink  # type: ignore[attr-defined]
    office.write_config(RARELY)
    office.ready()
    office.deliver("Lupa password", QUESTION)
    office.poll()
    office.run("approve", "1", "--yes")
    sink.fail("connect")
    with running(office) as daemon:
        daemon.logs("nothing can be sent")
        daemon.logs("listening")
        office.deliver("Lupa password", QUESTION, sender="admin@lain.example")
        wait_until(lambda: len(office.tickets()) == 2, "a second ticket")
        assert daemon.log.count("nothing can be sent") == 1
        sink.repair()
        daemon.reload()
        assert len(sink.wait_for(1)) == 1


def test_a_lost_idle_connection_is_opened_again_and_what_came_meanwhile_is_taken_in(
    dovecot_office: Installation,
) -> None:
    """Rule 61."""
    office = dovecot_office
    dovecot = office.backend.dovecot  # type: ignore[attr-defined]
    with ImapProxy(dovecot.port) as proxy:
        office.write_config(RARELY)
        text = office.config.read_text()
        office.config.write_text(text.replace(f"port = {dovecot.port}", f"port = {proxy.port}", 1))
        office.ready()
        with running(office) as daemon:
            daemon.logs("listening")
            proxy.cut_after = "IDLE"
            office.deliver("Lupa password", QUESTION)
            daemon.logs("no IDLE for now")
            daemon.logs("listening", 2)
            office.deliver("Lupa password", QUESTION, sender="admin@lain.example")
            wait_until(lambda: len(office.tickets()) == 2, "both tickets")


def test_a_server_without_idle_is_polled_and_that_is_said_once(office: Installation) -> None:
    office.write_config(OFTEN + "idle = false\n")
    office.ready()
    with running(office) as daemon:
        office.deliver("Lupa password", QUESTION)
        wait_until(lambda: len(office.tickets()) == 1, "a ticket")
        assert "listening" not in daemon.log


def test_an_approved_reply_leaves_when_its_undo_window_is_over_without_waiting_for_a_round(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    office.write_config(RARELY.replace("undo_seconds = 0", "undo_seconds = 1"))
    office.ready()
    with running(office) as daemon:
        daemon.logs("listening")
        office.deliver("Lupa password", QUESTION)
        wait_until(lambda: len(office.tickets()) == 1, "a ticket")
        office.run("approve", "1", "--yes")
        wait_until(lambda: len(office.replies_to()) == 1, "the reply")


def test_more_wishes_than_one_pass_does_are_done_without_waiting_for_the_schedule(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    office.write_config(RARELY + "idle = false\n")
    office.ready()
    for number in range(BATCH + 5):
        office.deliver("Lupa password", QUESTION, sender=f"admin@vendor{number}.example")
    with running(office):
        wait_until(lambda: len(office.folder(DRAFTS)) == BATCH + 5, "every draft in Drafts")


def test_a_stop_lets_the_reply_in_hand_end_and_begins_no_other(dovecot_office: Installation) -> None:
    office = dovecot_office
    office.write_config(AUTOMATIC)
    office.ready(TOPIC)
    sink = office.backend.sink  # type: ignore[attr-defined]
    for number in range(MANY):
        office.deliver("Lupa password", QUESTION, sender=f"admin@vendor{number}.example")
    sink.delay = 0.4
    with running(office) as daemon:
        wait_until(lambda: len(sink.mails) >= 1, "the first reply")
        seconds = daemon.stop()
        assert daemon.process.returncode == 0
        assert seconds < 10
        assert "stopped" in daemon.log
    left = statuses(office)
    assert left.count("sent") == len(sink.mails) < MANY
    assert set(left) <= {"sent", "approved", "drafted"}, "nothing is in doubt"


def statuses(office: Installation) -> list[str]:
    database = database_of(office)
    with database.read() as connection:
        found = [status.value for status in connection.scalars(select(Reply.status))]
    database.close()
    return found


def test_a_stop_does_not_wait_for_a_servers_last_answer_and_leaves_that_reply_uncertain(
    dovecot_office: Installation,
) -> None:
    """Rule 75: nobody can know; and the service ends within 10 seconds, also when asked twice."""
    office = dovecot_office
    office.write_config(AUTOMATIC)
    office.ready(TOPIC)
    office.backend.sink.fail("dot", hang=True, accept=True)  # type: ignore[attr-defined]
    office.deliver("Lupa password", QUESTION)
    with running(office) as daemon:
        wait_until(lambda: len(office.replies_to()) == 1, "the reply at the server")
        seconds = daemon.stop(signal.SIGTERM, signal.SIGINT, signal.SIGTERM)
        assert daemon.process.returncode == 0, daemon.log
    assert seconds < 10
    assert statuses(office) == ["uncertain"]


def test_the_service_manager_is_told_how_the_service_is(dovecot_office: Installation) -> None:
    dovecot_office.write_config(OFTEN)
    with running(dovecot_office, WATCHDOG_USEC="2000000") as daemon:
        daemon.manager.hears("READY=1")
        daemon.manager.hears("WATCHDOG=1")
        daemon.reload()
        daemon.manager.hears("RELOADING=1")
        daemon.manager.hears("MONOTONIC_USEC=")
        wait_until(lambda: daemon.manager.said.count("READY=1") == 2, "ready again")
        daemon.stop()
        daemon.manager.hears("STOPPING=1")


def test_a_wrong_configuration_is_refused_while_running_and_the_old_one_stays(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    office.write_config(OFTEN)
    office.ready()
    good = office.config.read_text()
    with running(office) as daemon:
        daemon.logs("listening")
        office.config.write_text(good.replace('unit = "', 'unti = "'))
        daemon.reload()
        daemon.logs("configuration refused, the one before stays")
        daemon.logs("mailboxes.kemenperin.unti: unknown key")
        wait_until(lambda: "config" in alarms_of(office), "the alarm")
        assert "konfigurasi ditolak" in alarms_of(office)["config"]
        office.config.write_text(good)
        office.deliver("Lupa password", QUESTION)
        wait_until(lambda: len(office.tickets()) == 1, "mail is handled all the same")
        daemon.reload()
        daemon.logs("configuration read again")
        wait_until(lambda: alarms_of(office) == {}, "the end of the alarm")


def test_a_reload_keeps_the_reader_process(dovecot_office: Installation) -> None:
    office = dovecot_office
    office.write_config(OFTEN)
    office.ready()
    with running(office) as daemon:
        daemon.logs("listening")
        office.deliver("Lupa password", QUESTION)
        wait_until(lambda: len(office.tickets()) == 1, "a ticket")
        reader = daemon.children()
        assert len(reader) == 1
        daemon.reload()
        daemon.logs("configuration read again")
        daemon.logs("listening", 2)
        office.deliver("Lupa password", QUESTION, sender="admin@lain.example")
        wait_until(lambda: len(office.tickets()) == 2, "a second ticket")
        assert daemon.children() == reader
        assert daemon.stop() < 10
    assert "stopped" in daemon.log


def test_content_that_cannot_be_rendered_is_refused_with_the_configuration(
    dovecot_office: Installation, tmp_path: Path
) -> None:
    office = dovecot_office
    office.write_config(OFTEN)
    empty = tmp_path / "isi"
    empty.mkdir()
    with running(office) as daemon:
        daemon.logs("listening")
        text = office.config.read_text()
        start = text.index('content = "')
        office.config.write_text(text[:start] + f'content = "{empty}"\n' + text[text.index("templates =") :])
        daemon.reload()
        daemon.logs("configuration refused, the one before stays")
        assert "tidak ada folder topik" in daemon.log


def test_a_mailbox_that_is_added_is_served_and_one_that_is_taken_out_is_left_alone(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    office.write_config(OFTEN + '[logging]\nlevel = "debug"\n')  # a glance is no news
    office.ready()
    first = office.config.read_text()
    with running(office) as daemon:
        daemon.logs("listening")
        office.config.write_text(first.replace("[mailboxes.kemenperin", "[mailboxes.daerah"))
        daemon.reload()
        daemon.logs("mailbox=daerah")
        daemon.logs("configuration read again")
        wait_until(lambda: jobs_of(office).get("poll:daerah", 0) > 0, "a good round of the added one")
        rounds = daemon.log.count("mailbox=kemenperin")
        wait_until(lambda: daemon.log.count("mailbox=daerah") > 5, "more rounds")
        assert daemon.log.count("mailbox=kemenperin") <= rounds + 1


def jobs_of(office: Installation) -> dict[str, int]:
    """Job → 1 when it has ever succeeded."""
    database = database_of(office)
    with database.read() as connection:
        rows = connection.execute(select(Job.name, Job.succeeded_at)).all()
    database.close()
    return {row.name: int(row.succeeded_at is not None) for row in rows}


def test_another_database_needs_a_restart_and_says_so(dovecot_office: Installation) -> None:
    office = dovecot_office
    office.write_config(OFTEN)
    with running(office) as daemon:
        daemon.logs("listening")
        office.config.write_text(office.config.read_text() + '[database]\nurl = "sqlite:///lain.db"\n')
        daemon.reload()
        daemon.logs("[database] can be changed with a restart only")


def test_the_service_waits_for_a_database_that_is_away_at_start(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    with Postgres() as server:
        url = server.database()
        office.write_config(OFTEN + f'[database]\nurl = "{url}"\n')
        server.stop()
        with running(office) as daemon:
            daemon.logs("waiting for the database")
            daemon.manager.hears("STATUS=waiting for the database: database 127.0.0.1")
            daemon.manager.hears("EXTEND_TIMEOUT_USEC=")
            assert "READY=1" not in daemon.manager.said
            server.start()
            daemon.manager.hears("READY=1")
            daemon.logs("listening")


def test_a_service_that_waits_for_its_database_ends_when_asked_to(dovecot_office: Installation) -> None:
    office = dovecot_office
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    office.write_config(OFTEN + f'[database]\nurl = "postgresql+psycopg://x@127.0.0.1:{port}/x"\n')
    with running(office) as daemon:
        daemon.logs("waiting for the database")
        assert daemon.stop() < 10
        assert daemon.process.returncode == 0


def test_a_round_of_cron_during_one_of_the_daemon_is_busy_and_that_is_no_error(
    dovecot_office: Installation,
) -> None:
    office = dovecot_office
    office.write_config(AUTOMATIC)
    office.ready(TOPIC)
    sink = office.backend.sink  # type: ignore[attr-defined]
    sink.fail("dot", hang=True, accept=True)
    office.deliver("Lupa password", QUESTION)
    with running(office):
        wait_until(lambda: len(sink.mails) == 1, "a reply that waits for its answer")
        assert "busy" in office.run("poll").stdout
        assert office.poll()["busy"] is True


def test_cron_does_the_jobs_of_the_schedule_too(dovecot_office: Installation) -> None:
    dovecot_office.poll()
    done = jobs_of(dovecot_office)
    assert done["alarms"] == 1
    assert done["poll:kemenperin"] == 1
    assert done["digest"] == 0, "its first time is the next one"
