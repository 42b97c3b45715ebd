"""The people who have accounts at every fake provider.

Subjects are derived, not random, so that a person is the same one after a restart; each provider has its own
form of subject, so that code which confuses them is found out.
"""

import hashlib
import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    handle: str
    given_name: str
    family_name: str

    @property
    def email(self) -> str:
        return f"{self.handle}@example.com"

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    def google_subject(self) -> str:
        return "1" + str(self._number("google") % 10**20).zfill(20)

    def spotify_id(self) -> str:
        return f"{self._number('spotify'):x}"[:28]

    def github_id(self) -> int:
        return 1_000_000 + self._number("github") % 90_000_000

    def oidc_subject(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox:oidc:{self.handle}"))

    def _number(self, provider: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{provider}:{self.handle}".encode()).digest())


ACCOUNTS = (
    Account("alice", "Alice", "Liddell"),
    Account("bob", "Bob", "Cratchit"),
    Account("carol", "Carol", "Danvers"),
    Account("dora", "Dora", "Copperfield"),
)


def find_account(email: str) -> Account | None:
    """The account of an address, or of the handle alone."""
    wanted = email.strip().lower()
    return next((a for a in ACCOUNTS if wanted in (a.email, a.handle)), None)
