"""The database login that a process works with, which a rotation changes under it (rule R9)."""

from keybearer.kit.database import Database
from keybearer.kit.listener import Listener


class Login:
    """`username` is the one that every connection of the pool and of the listener was opened with."""

    def __init__(self, db: Database, listener: Listener) -> None:
        self._db = db
        self._listener = listener
        self._taken = db.address.login()

    @property
    def username(self) -> str:
        return self._taken[0]

    async def take(self) -> bool:
        """Moves to the login in the files; False when it is the same.

        Raises asyncpg.PostgresError or ConfigurationError, and stays with the one before, when it cannot get in.
        """
        found = self._db.address.login()
        if found == self._taken:
            return False
        probe = await self._db.address.connect(found)
        await probe.close()
        await self._db.renew()
        await self._listener.renew()
        self._taken = found
        return True
