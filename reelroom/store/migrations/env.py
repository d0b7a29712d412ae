"""Alembic's entry: migrates over the connection it is given. Holds no configuration of its own."""

from alembic import context

from reelroom.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite can alter little in place
    transactional_ddl=True,
)
context.run_migrations()
