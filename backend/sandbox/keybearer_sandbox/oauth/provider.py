"""What one fake provider decides for itself, between the rules that all of them share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from keybearer_sandbox.accounts import Account
from keybearer_sandbox.answers import Json
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.refusals import ApiRefused, TokenRefused
from keybearer_sandbox.oauth.tokens import Grant

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True)
class Refusal:
    """How a provider words one reason; `description` may hold a `{parameter}`."""

    status: int
    error: str
    description: str


@dataclass(frozen=True)
class TokenAnswer:
    """What the token endpoint hands out; each provider puts it into its own shape."""

    access_token: str
    expires_in: int | None
    scopes: tuple[str, ...]
    refresh_token: str | None = None
    id_token: str | None = None


class Provider(ABC):
    """Names, words and habits of one provider. `issuer` is also where its endpoints begin."""

    name: ClassVar[str]
    title: ClassVar[str]
    authorization_refusals: ClassVar[Mapping[str, Refusal]]
    token_refusals: ClassVar[Mapping[str, Refusal]]
    denial: ClassVar[Mapping[str, str]] = {"error": "access_denied"}
    default_grant_type: ClassVar[str] = ""
    redirect_uri_optional: ClassVar[bool] = False
    takes_client_credentials: ClassVar[bool] = False
    names_issuer_in_redirect: ClassVar[bool] = False

    def __init__(self, base_url: str) -> None:
        self.issuer = f"{base_url}/{self.name}"

    @abstractmethod
    def requested_scopes(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        """The scopes asked for, in the provider's own spelling; raises AuthorizationRefused or ~Returned."""

    @abstractmethod
    def gives_refresh_token(self, fields: Mapping[str, str], scopes: tuple[str, ...], *, first_consent: bool) -> bool:
        """Whether this authorization is to yield a refresh token."""

    @abstractmethod
    def api_refused(self, refusal: ApiRefused) -> Response:
        """The provider's own body for a refusal at its API."""

    def check_authorization(self, fields: Mapping[str, str], *, consented: bool) -> None:
        """Looks at the parameters that only this provider knows; raises AuthorizationRefused or ~Returned."""
        return

    def check_api_request(self, request: Request) -> None:
        """What the API asks of every request beside its token; raises ApiRefused."""
        return

    def includes_granted_scopes(self, fields: Mapping[str, str]) -> bool:
        return False

    def rotates_refresh_tokens(self, grant: Grant) -> bool:
        return False

    def identity_claims(self, account: Account, scopes: tuple[str, ...]) -> dict[str, Any] | None:
        """Claims of the id_token, or None where the provider gives none for these scopes."""
        return None

    async def token_form(self, request: Request) -> dict[str, str]:
        return await parameters.form(request)

    def token_answer(self, request: Request, answer: TokenAnswer) -> Response:
        fields: dict[str, object] = {"access_token": answer.access_token, "token_type": "Bearer"}
        if answer.expires_in is not None:
            fields["expires_in"] = answer.expires_in
        if answer.refresh_token is not None:
            fields["refresh_token"] = answer.refresh_token
        if answer.id_token is not None:
            fields["id_token"] = answer.id_token
        fields["scope"] = " ".join(answer.scopes)
        return Json(fields, headers=NO_STORE)

    def token_refused(self, request: Request, refusal: TokenRefused) -> Response:
        words = self.token_refusals[refusal.reason]
        body = {"error": words.error}
        if words.description:
            body["error_description"] = words.description.format(parameter=refusal.parameter)
        return Json(body, words.status, {**NO_STORE, **refusal.headers})


def split_scopes(text: str, separators: str = " ") -> tuple[str, ...]:
    """Scope names in the order asked for, each once."""
    for separator in separators:
        text = text.replace(separator, " ")
    return tuple(dict.fromkeys(text.split()))
