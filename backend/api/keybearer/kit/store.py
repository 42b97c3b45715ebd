"""Leases: one process at a time does each kind of background work (rule R8). Time is the database's alone."""

from sqlalchemy import text

from keybearer.kit.database import Transaction

_CLAIM = text(
    """
    INSERT INTO leases AS held (name, owner, epoch, until)
    VALUES (:name, :owner, 1, clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (name) DO UPDATE
      SET owner = excluded.owner, until = excluded.until,
          epoch = held.epoch + CASE WHEN held.owner = excluded.owner THEN 0 ELSE 1 END
      WHERE held.owner = excluded.owner OR held.until < clock_timestamp()
    RETURNING epoch
    """
)
_RELEASE = text("UPDATE leases SET until = '-infinity' WHERE name = :name AND owner = :owner")


async def claim(tx: Transaction, name: str, owner: str, seconds: float) -> int | None:
    """The lease's epoch when `owner` holds it for the next `seconds`, None while another does."""
    row = await tx.execute(_CLAIM, {"name": name, "owner": owner, "seconds": seconds})
    epoch: int | None = row.scalar()
    return epoch


async def release(tx: Transaction, name: str, owner: str) -> None:
    await tx.execute(_RELEASE, {"name": name, "owner": owner})
