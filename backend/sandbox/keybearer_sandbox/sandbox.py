"""Everything that one running sandbox knows; the endpoints read and change it, nothing else does."""

import asyncio
import time
from collections.abc import Callable

from joserfc.errors import JoseError

from keybearer_sandbox.control.faults import Faults
from keybearer_sandbox.control.stats import Stats
from keybearer_sandbox.inbox.mailbox import Mailbox
from keybearer_sandbox.oauth.clients import Clients
from keybearer_sandbox.oauth.consents import Consents
from keybearer_sandbox.oauth.signing import SigningKeys
from keybearer_sandbox.oauth.tokens import Tokens
from keybearer_sandbox.settings import Settings
from keybearer_sandbox.state_file import StateFile, StateFileBroken

PROVIDERS = ("google", "spotify", "github", "oidc")
_OAUTH_OPERATIONS = ("authorize", "token", "refresh", "refresh_succeeded", "revoke")
_OPENID_OPERATIONS = (*_OAUTH_OPERATIONS, "discovery", "jwks", "userinfo")
_TRANSFERS = ("echo", "stream", "upload", "events", "redirect")
OPERATIONS = {
    "google": (*_OPENID_OPERATIONS, "gmail", "calendar", *_TRANSFERS),
    "spotify": (*_OAUTH_OPERATIONS, "me", "search", "player", "play", "pause", "devices", *_TRANSFERS),
    "github": (*_OAUTH_OPERATIONS, "user", "emails", "repos", "issues", "create_issue", *_TRANSFERS),
    "oidc": (*_OPENID_OPERATIONS, "client_credentials", *_TRANSFERS),
}
DEFAULT_EXPIRES_IN: dict[str, int | None] = {"google": 3600, "spotify": 3600, "github": None, "oidc": 3600}


class Sandbox:
    """`closing` is set when the server stops, so that nothing which hangs on purpose outlives it."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.clock = clock
        self.closing = asyncio.Event()
        self.clients = Clients(PROVIDERS, settings.redirect_uris)
        self.faults = Faults()
        self.stats = Stats(OPERATIONS)
        self.inbox = Mailbox(clock)
        self.expires_in = dict(DEFAULT_EXPIRES_IN)
        self.keys = SigningKeys()
        self._state_file = StateFile(settings.state_file) if settings.state_file else None
        self.tokens = Tokens(clock, self.save)
        self.consents = Consents(self.save)
        self._reset_hooks: list[Callable[[], None]] = []
        self._load()

    def on_reset(self, hook: Callable[[], None]) -> None:
        self._reset_hooks.append(hook)

    def reset(self) -> None:
        """As after a first start, but redirect URIs that were registered and signing keys stay."""
        self.faults.clear()
        self.stats.clear()
        self.inbox.clear()
        self.expires_in = dict(DEFAULT_EXPIRES_IN)
        self.tokens.clear()
        self.consents.clear()
        for hook in self._reset_hooks:
            hook()

    def save(self) -> None:
        """Called before an answer that hands out a token leaves, so that no token given out is forgotten."""
        if self._state_file:
            self._state_file.write(
                {
                    "keys": self.keys.snapshot(),
                    "tokens": self.tokens.snapshot(),
                    "consents": self.consents.snapshot(),
                }
            )

    def _load(self) -> None:
        saved = self._state_file.read() if self._state_file else None
        if saved is None:
            self.save()
            return
        try:
            self.keys.restore(saved["keys"])
            self.tokens.restore(saved["tokens"])
            self.consents.restore(saved["consents"])
        except (AttributeError, KeyError, TypeError, ValueError, JoseError) as error:
            raise StateFileBroken(
                f"{self.settings.state_file} is not the state of a sandbox; move it away to start anew."
            ) from error
