"""Being at a ticket: who else is there, and what somebody types and has not handed in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from responder.pipeline import desk
from responder.tickets import lifecycle
from responder.web.api import given
from responder.web.api.callers import Officer
from responder.web.api.given import TicketId
from responder.web.api.problems import described, not_found
from responder.web.api.reading import existing
from responder.web.api.shapes import Other, Others, Unfinished, unfinished
from responder.web.service import UsesService

router = APIRouter(tags=["writing"])


@router.put("/tickets/{ticket_id}/presence", responses=described(404))
def present(
    service: UsesService,
    caller: Officer,
    ticket_id: TicketId,
    editing: Annotated[bool, Query(description="The account is writing, not only reading")] = False,
) -> Others:
    """Say that the account is at the ticket, for some minutes; answers with who else is."""
    now = service.clock()
    with service.database.begin() as connection:
        existing(connection, ticket_id)
        desk.present(connection, ticket_id, caller.user_id, now, editing=editing)
        rows = desk.others(connection, ticket_id, caller.user_id, now)
    return Others(others=[Other.model_validate(row) for row in rows])


@router.get("/tickets/{ticket_id}/unfinished", responses=described(404))
def kept(service: UsesService, caller: Officer, ticket_id: TicketId) -> Unfinished:
    """What the account typed and did not hand in."""
    with service.database.read() as connection:
        existing(connection, ticket_id)
        found = unfinished(desk.kept_edit(connection, ticket_id, caller.user_id))
    if found is None:
        raise not_found(f"unfinished text at ticket {ticket_id}")
    return found


@router.put("/tickets/{ticket_id}/unfinished", responses=described(404))
def keep(service: UsesService, caller: Officer, ticket_id: TicketId, wish: given.Typed) -> Unfinished:
    """Save what is being typed; nobody else sees it, and it becomes no draft."""
    with service.database.begin() as connection:
        existing(connection, ticket_id)
        reply = lifecycle.reply(connection, wish.based_on) if wish.based_on is not None else None
        if wish.based_on is not None and (reply is None or reply.ticket_id != ticket_id):
            raise not_found(f"reply {wish.based_on} of ticket {ticket_id}")
        desk.keep_edit(connection, ticket_id, caller.user_id, wish.based_on, wish.text, service.clock())
        found = unfinished(desk.kept_edit(connection, ticket_id, caller.user_id))
        assert found is not None
        return found


@router.delete("/tickets/{ticket_id}/unfinished", status_code=204, responses=described(404))
def give_up(service: UsesService, caller: Officer, ticket_id: TicketId) -> Response:
    """Throw away what the account typed and did not hand in."""
    with service.database.begin() as connection:
        existing(connection, ticket_id)
        desk.drop_edits(connection, ticket_id, caller.user_id)
        desk.gone(connection, ticket_id, caller.user_id)
    return Response(status_code=204)
