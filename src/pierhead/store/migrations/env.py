"""How Alembic reaches the database: through the connection that `store.session.migrate` hands over."""

from alembic import context

from pierhead.store import tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=tables.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
