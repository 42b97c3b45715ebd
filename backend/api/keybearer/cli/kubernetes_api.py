"""The one thing that we ask of a cluster's API server: to keep a new object, and never to replace one."""

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from keybearer.kit.errors import ConfigurationError, NotReady

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who a pod is to its cluster. The token in `folder` changes every hour."""

    server: str
    namespace: str
    folder: Path

    @classmethod
    def of_this_pod(cls, environment: Mapping[str, str] = os.environ, folder: Path = _ACCOUNT) -> "ServiceAccount":
        """Raises ConfigurationError where there is none."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
        namespace = _content(folder / "namespace")
        if not host:
            raise ConfigurationError("KUBERNETES_SERVICE_HOST is not set. `--kubernetes` works in a pod of a cluster.")
        return cls(f"https://{f'[{host}]' if ':' in host else host}:{port}", namespace, folder)


class KubernetesApi:
    def __init__(self, account: ServiceAccount, client: httpx2.AsyncClient) -> None:
        self._account = account
        self._client = client

    @property
    def namespace(self) -> str:
        return self._account.namespace

    async def create_secret(self, secret: Mapping[str, Any]) -> bool:
        """False: one of that name is there, and stays as it is. Raises NotReady for what may pass by itself.

        What the API server says is left out of messages, because a policy's refusal may quote what was sent.
        """
        path = f"/api/v1/namespaces/{self.namespace}/secrets"
        headers = {"Authorization": f"Bearer {_content(self._account.folder / 'token')}"}
        try:
            answer = await self._client.post(path, params={"fieldManager": "keybearer"}, json=secret, headers=headers)
        except httpx2.TransportError as error:
            raise self._no_answer(error) from error
        if answer.status_code not in {201, 409}:
            raise self._refusal(answer.status_code)
        return answer.status_code == 201

    def _no_answer(self, error: httpx2.TransportError) -> ConfigurationError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return ConfigurationError(
                    f"The API server at {self._account.server} is not the one of ca.crt in {self._account.folder} "
                    f"({cause.verify_message}). Nothing was sent to it. See what KUBERNETES_SERVICE_HOST leads to."
                )
            cause = cause.__cause__ or cause.__context__
        return NotReady(
            f"The API server at {self._account.server} does not answer ({type(error).__name__}).",
            "See whether a NetworkPolicy or a proxy keeps this pod from it.",
        )

    def _refusal(self, status: int) -> ConfigurationError:
        match status:
            case 401:
                return ConfigurationError(
                    "The API server does not take this pod's token (401). See whether its service account is still "
                    "there, and start the pod again."
                )
            case 403:
                return NotReady(
                    f"The API server forbids this pod to make Secrets in the namespace {self.namespace} (403).",
                    "Give its service account a Role with the verb `create` on `secrets`; if it has one, a quota or a "
                    "policy of the cluster forbids it (`kubectl describe quota`, `kubectl get events`).",
                )
            case 404:
                return ConfigurationError(f"There is no namespace {self.namespace} (404). Make it, then start again.")
            case 429 | 500 | 502 | 503 | 504:
                return NotReady(f"The API server cannot answer now ({status}).", "See how the cluster is.")
            case _:
                return ConfigurationError(
                    f"The API server refuses the Secret ({status}). Its own log, or a policy of the cluster, says why."
                )


@asynccontextmanager
async def connected(account: ServiceAccount) -> AsyncIterator[KubernetesApi]:
    """Trusts the cluster's own authority alone, and goes through no proxy."""
    try:
        trusted = ssl.create_default_context(cafile=str(account.folder / "ca.crt"))
        # Python 3.13 sets it; certificates of some clusters' API servers lack identifiers that it asks for.
        trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{account.folder}/ca.crt holds no certificate ({type(error).__name__}). See how the service account's "
            "token is mounted into this pod."
        ) from error
    async with httpx2.AsyncClient(base_url=account.server, verify=trusted, trust_env=False, timeout=_SECONDS) as client:
        yield KubernetesApi(account, client)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"There is no service account here: {path} cannot be read ({type(error).__name__}). `--kubernetes` works "
            "in a pod whose service account may create Secrets, with automountServiceAccountToken: true."
        ) from error
