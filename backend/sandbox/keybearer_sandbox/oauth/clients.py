"""The applications registered at the fake providers, and how they prove who they are (RFC 6749 section 2.3)."""

import base64
import hmac
from dataclasses import dataclass
from urllib.parse import unquote_plus

from starlette.requests import Request

from keybearer_sandbox.oauth.refusals import TokenRefused


@dataclass(frozen=True)
class Client:
    provider: str
    client_id: str
    secret: str


@dataclass(frozen=True)
class Authenticated:
    """`public`: the client named itself without a secret, which only a PKCE grant may follow."""

    client: Client
    public: bool


class Clients:
    """One client for each provider, and the redirect URIs, which are compared byte for byte."""

    def __init__(self, providers: tuple[str, ...], redirect_uris: tuple[str, ...]) -> None:
        self._clients = {
            name: Client(name, f"sandbox-{name}", f"sbx_secret_{name.replace('-', '_')}") for name in providers
        }
        self.redirect_uris = list(redirect_uris)

    def register_redirect_uri(self, uri: str) -> None:
        if uri not in self.redirect_uris:
            self.redirect_uris.append(uri)

    def find(self, provider: str, client_id: str) -> Client | None:
        client = self._clients[provider]
        return client if client.client_id == client_id else None

    def authenticate(self, provider: str, request: Request, form: dict[str, str]) -> Authenticated:
        basic = _basic_credentials(request)
        if basic and "client_secret" in form:
            raise TokenRefused("two_authentications")
        client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret"))
        if not client_id:
            raise TokenRefused("client_missing")
        client = self.find(provider, client_id)
        if client is None:
            raise TokenRefused("client_unknown")
        if secret is None:
            return Authenticated(client, public=True)
        if not hmac.compare_digest(secret.encode(), client.secret.encode()):
            raise TokenRefused("client_secret_wrong")
        return Authenticated(client, public=False)


def _basic_credentials(request: Request) -> tuple[str, str] | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except ValueError as error:
        raise TokenRefused("client_unknown") from error
    client_id, colon, secret = decoded.partition(":")
    if not colon:
        raise TokenRefused("client_unknown")
    return unquote_plus(client_id), unquote_plus(secret)
