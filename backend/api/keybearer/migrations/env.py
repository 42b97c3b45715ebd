"""Alembic's entry: `keybearer.migrations.runner` passes an open connection; there is no other way to run."""

from alembic import context

from keybearer.kit.database import SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema=SCHEMA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
