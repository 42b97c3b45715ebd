"""What whoever signed in without a provider is answered."""

from uuid import UUID

from pydantic import ConfigDict

from keybearer.http.schemas import Wire
from keybearer.identity.model import User

_USER_ID = "0198a7c0-11aa-7d0e-9b4c-2f1f6f6c9d20"


class SignedInUser(Wire):
    id: UUID
    email: str | None
    name: str


class SignedIn(Wire):
    """`session_token` is null where the session is in the cookie (`Keybearer-Session: cookie`)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "session_token": None,
                    "user": {"id": _USER_ID, "email": "alice@example.com", "name": "Alice"},
                }
            ]
        },
    )

    session_token: str | None
    user: SignedInUser


def signed_in(user: User, session_token: str | None) -> SignedIn:
    return SignedIn(session_token=session_token, user=SignedInUser(id=user.id, email=user.email, name=user.name))
