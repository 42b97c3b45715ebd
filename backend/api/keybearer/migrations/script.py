"""Runs a whole SQL script inside the migration's transaction.

SQLAlchemy prepares what it sends, and PostgreSQL prepares one statement at a time; the driver's own `execute` takes a
script.
"""

from alembic import op
from sqlalchemy.util import await_only


def execute(sql: str) -> None:
    driver = op.get_bind().connection.driver_connection
    assert driver is not None, "migrations run online"
    await_only(driver.execute(sql))
