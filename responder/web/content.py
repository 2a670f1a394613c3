"""Settling facts of content: what the command `content confirm` does, with the account's name in the event log."""

from __future__ import annotations

from responder.knowledge.confirm import confirm
from responder.pipeline.office import Office
from responder.tickets import audit
from responder.web.service import Service


def settle(service: Service, office: Office, slug: str, key: str, value: str | None, actor: str) -> str:
    """Settle fact `key` of a topic (None: with the recorded reading); return its value. Raises ContentError."""
    settled = confirm(office.config.content, slug, key, value, actor, service.today())
    service.look_again()
    detail = {"mailbox": office.name, "slug": slug, "fact": key, "value": settled}
    with service.database.begin() as connection:
        audit.record(
            connection, [audit.Entry(audit.INSTALLATION, actor, "fact_confirmed", detail)], service.clock()
        )
    return settled
