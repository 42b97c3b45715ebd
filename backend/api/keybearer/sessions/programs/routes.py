"""Programs refresh their tokens, and others learn how to verify them."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from keybearer.http.schemas import Wire, problems
from keybearer.sessions.programs.access import JWKS_SECONDS, AccessTokens
from keybearer.sessions.programs.service import ProgramTokens
from keybearer.tenancy.service import tenant_of

_PUBLIC = {"Cache-Control": f"public, max-age={JWKS_SECONDS}"}
_PAIR: JsonDict = {
    "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9…",
    "token_type": "bearer",
    "expires_in": 1800,
    "refresh_token": "kbr_…",
}


class RefreshWish(Wire):
    """The token of the last answer. It works once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refresh_token": "kbr_…"}]})

    refresh_token: str = Field(max_length=200)


class TokenPair(Wire):
    """Keep the new refresh token: the one that you sent is used up."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PAIR]})

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class Jwks(Wire):
    """The keys that access tokens are signed with, now and after the next change (RFC 7517)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "…", "kid": "s1", "alg": "EdDSA", "use": "sig"}]}
            ]
        }
    )

    keys: list[dict[str, Any]]


class Metadata(Wire):
    """How to verify an access token, in the words of RFC 8414."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "issuer": "https://keybearer.example.com",
                    "jwks_uri": "https://keybearer.example.com/.well-known/jwks.json",
                    "access_token_signing_alg_values_supported": ["EdDSA"],
                    "claims_supported": ["iss", "sub"],
                    "response_types_supported": [],
                    "login_endpoint": "https://keybearer.example.com/api/auth/login",
                    "refresh_endpoint": "https://keybearer.example.com/api/auth/refresh",
                }
            ]
        }
    )

    issuer: str
    jwks_uri: str
    access_token_signing_alg_values_supported: list[str]
    claims_supported: list[str]
    response_types_supported: list[str]
    login_endpoint: str
    refresh_endpoint: str


def routes(programs: ProgramTokens) -> APIRouter:
    router = APIRouter(tags=["sign-in"])

    @router.post("/auth/refresh", responses=problems(401, 422, 503), summary="New tokens for a program")
    async def refresh_tokens(wish: RefreshWish, request: Request) -> TokenPair:
        """Asked again within ten seconds, it gives the same answer; later, the sign-in is ended everywhere."""
        pair = await programs.refresh(tenant_of(request.scope), wish.refresh_token)
        return TokenPair(
            access_token=pair.access_token,
            token_type="bearer",  # noqa: S106 -- RFC 6750's word
            expires_in=pair.expires_in,
            refresh_token=pair.refresh_token,
        )

    return router


def well_known(access: AccessTokens) -> APIRouter:
    """Outside /api."""
    router = APIRouter(tags=["about"])

    @router.get("/.well-known/jwks.json", response_model=Jwks, summary="Keys of access tokens")
    async def read_jwks(request: Request) -> Response:
        tenant_of(request.scope)
        return JSONResponse(access.published(), headers=_PUBLIC)

    @router.get(
        "/.well-known/oauth-authorization-server", response_model=Metadata, summary="How to verify access tokens"
    )
    async def read_metadata(request: Request) -> Response:
        origin = tenant_of(request.scope).origin
        metadata = Metadata(
            issuer=origin,
            jwks_uri=f"{origin}/.well-known/jwks.json",
            access_token_signing_alg_values_supported=[access.algorithm],
            claims_supported=["iss", "sub", "aud", "exp", "iat", "jti", "sid", "tid", "email", "roles"],
            response_types_supported=[],
            login_endpoint=f"{origin}/api/auth/login",
            refresh_endpoint=f"{origin}/api/auth/refresh",
        )
        return JSONResponse(metadata.model_dump(), headers=_PUBLIC)

    return router
