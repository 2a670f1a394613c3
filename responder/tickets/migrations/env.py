"""Alembic's entry: run the migrations on the connection that `Database.migrate` hands over."""

from alembic import context

from responder.tickets import models_staff, models_upkeep  # noqa: F401 - their tables join the metadata
from responder.tickets.models import Base, is_in_models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    include_object=is_in_models,
)
with context.begin_transaction():
    context.run_migrations()
