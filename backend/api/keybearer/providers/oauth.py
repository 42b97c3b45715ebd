"""OAuth 2 as a client: the authorization URL, and requests to a token endpoint with every answer put into R4's words.

Answers are read strictly and are bounded in size and time. No secret and nothing of a foreign payload gets into an
exception or a log; of a refusal only its short `error` word does.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote_plus

from authlib.common.urls import add_params_to_uri  # type: ignore[import-untyped]  # it ships no types

from keybearer.kit.outbound import Answer, NotAnswered, Outbound
from keybearer.providers.errors import FailureKind, TokenRequestFailed, provider_not_configured
from keybearer.providers.model import Provider, TokenAuth
from keybearer.providers.tokens import TokenAnswer, read_answer

TOTAL_SECONDS = 10.0
# `max_age` (OpenID Connect Core 3.1.2.1) has `auth_time` answered; some answer it only where `claims` asks (5.5).
_FRESH = {"max_age": "0", "claims": '{"id_token":{"auth_time":{"essential":true}}}'}
_SHORT_WORD = re.compile(r"[a-z_]{1,64}")
_KINDS: Mapping[str, FailureKind] = {
    "invalid_grant": "invalid_grant",
    # OpenID Connect's words for "ask the person again"
    "consent_required": "invalid_grant",
    "interaction_required": "invalid_grant",
    "login_required": "invalid_grant",
    "invalid_client": "invalid_client",
    "unauthorized_client": "invalid_client",
    "server_error": "transient",
    "slow_down": "transient",
    "temporarily_unavailable": "transient",
}
# Providers that refuse with 200 have words of their own too.
_KINDS_WITH_200: Mapping[str, FailureKind] = {
    "bad_refresh_token": "invalid_grant",
    "bad_verification_code": "invalid_grant",
    "code_already_used": "invalid_grant",
    "invalid_code": "invalid_grant",
    "invalid_refresh_token": "invalid_grant",
    "token_expired": "invalid_grant",
    "token_revoked": "invalid_grant",
    "bad_client_secret": "invalid_client",
    "incorrect_client_credentials": "invalid_client",
    "invalid_client_id": "invalid_client",
    "fatal_error": "transient",
    "internal_error": "transient",
    "ratelimited": "transient",
    "request_timeout": "transient",
    "service_unavailable": "transient",
}


def authorize_url(
    endpoint: str,
    provider: Provider,
    *,
    redirect_uri: str,
    state: str,
    nonce: str | None,
    code_challenge: str | None,
    scopes: Sequence[str],
    connecting: bool,
    login_hint: str | None = None,
    fresh: bool = False,
) -> str:
    """What the catalogue adds never replaces what the protocol needs.

    `fresh` asks an OpenID Connect provider to have the person prove who they are now, and to say when they did.
    """
    if provider.client_id is None:
        raise provider_not_configured(provider)
    parameters = {
        **provider.authorize_params,
        **(provider.incremental if connecting else provider.sign_in_params),
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    optional = {
        provider.scope_param: provider.scope_separator.join(scopes),
        "nonce": nonce,
        "login_hint": login_hint,
    }
    parameters |= {name: value for name, value in optional.items() if value}
    if fresh and provider.issuer is not None:
        parameters |= _FRESH
    if code_challenge and provider.pkce == "S256":
        parameters |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    return str(add_params_to_uri(endpoint, list(parameters.items())))


async def request_token(
    outbound: Outbound,
    endpoint: str,
    provider: Provider,
    grant: Mapping[str, str],
    *,
    client: tuple[str, str | None] | None = None,
    clock: Callable[[], float] = time.time,
) -> TokenAnswer:
    """`grant` is grant_type with what belongs to it; `client` an id and secret other than the installation's.

    Raises TokenRequestFailed.
    """
    headers, credentials = client_authentication(provider, provider.token_auth, client)
    members = {**provider.token_params, **grant, **credentials}
    as_json = "json_token_request" in provider.quirks
    try:
        answer = await outbound.fetch(
            "POST",
            endpoint,
            headers=headers,
            form=None if as_json else members,
            json=members if as_json else None,
            seconds=TOTAL_SECONDS,
        )
    except NotAnswered as failure:
        raise TokenRequestFailed("unknown" if failure.sent else "transient") from failure
    return read(provider, answer, clock)


def client_authentication(
    provider: Provider, method: TokenAuth, client: tuple[str, str | None] | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and form members that say who the client is (RFC 6749 section 2.3.1)."""
    client_id, secret = client or _installed_client(provider)
    if method == "basic" and secret is not None:
        # Each part is form-encoded before they are joined, or a ':' in an id would move the border.
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {}
    if method == "post" and secret is not None:
        return {}, {"client_id": client_id, "client_secret": secret}
    return {}, {"client_id": client_id}


def read(provider: Provider, answer: Answer, clock: Callable[[], float] = time.time) -> TokenAnswer:
    """The tokens of an answer, or TokenRequestFailed with the right kind."""
    if answer.status in {408, 429} or answer.status >= 500:
        retry_after = _retry_after(answer.headers.get("retry-after"), clock)
        raise TokenRequestFailed(
            "transient", status=answer.status, retry_after=retry_after, code=_code(members(answer))
        )
    document = members(answer)
    if answer.status not in {200, 201} or refuses_with_200(provider, document):
        code = _code(document)
        kind = "invalid_grant" if _refuses_refresh_token(provider, document) else _kind(provider, code)
        raise TokenRequestFailed(kind, status=answer.status, code=code)
    try:
        return read_answer(document, token_path=provider.token_path, assumed_expires_in=provider.assumed_expires_in)
    except ValueError:
        raise TokenRequestFailed("other", status=answer.status) from None


def _installed_client(provider: Provider) -> tuple[str, str | None]:
    if provider.client_id is None:
        raise provider_not_configured(provider)
    return provider.client_id, provider.client_secret.reveal() if provider.client_secret else None


def refuses_with_200(provider: Provider, document: Mapping[str, object]) -> bool:
    if "error_with_200" not in provider.quirks:
        return False
    return bool(document.get("error")) or document.get("ok") is False


def _kind(provider: Provider, code: str) -> FailureKind:
    known = _KINDS_WITH_200 if "error_with_200" in provider.quirks else {}
    return _KINDS.get(code) or known.get(code, "other")


def _refuses_refresh_token(provider: Provider, document: Mapping[str, object]) -> bool:
    """The word alone would not do: by RFC 6749 it is about us, and then no person can mend it by consenting again."""
    if "refresh_unauthorized_client" not in provider.quirks or document.get("error") != "unauthorized_client":
        return False
    return "refresh_token" in str(document.get("error_description"))


def _code(document: Mapping[str, object]) -> str:
    """The provider's `error`, where it is a short word and so cannot be anything else."""
    code = document.get("error")
    return code if isinstance(code, str) and _SHORT_WORD.fullmatch(code) else ""


def members(answer: Answer) -> Mapping[str, object]:
    """The members of a JSON or form body; empty if it is neither."""
    if not answer.body:
        return {}
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(answer.body.decode(), max_num_fields=50, errors="strict"))
        document = json.loads(answer.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


def _retry_after(header: str | None, clock: Callable[[], float]) -> float | None:
    """Seconds from now; the header holds seconds or a date (RFC 9110 section 10.2.3)."""
    if not header:
        return None
    try:
        seconds = float(header) if header.isdecimal() else parsedate_to_datetime(header).timestamp() - clock()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), 86_400.0)
