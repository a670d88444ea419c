"""What alembic runs for each command: on the connection, and in the transaction, of its caller."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,  # SQLite's too: all of it or nothing
)
with context.begin_transaction():
    context.run_migrations()
