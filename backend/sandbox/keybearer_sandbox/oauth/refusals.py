"""Why a provider says no, in neutral words; each provider has a table from these to its own words.

TokenRefused           at the token endpoint
AuthorizationRefused   shown as a page, because nothing may be sent to a redirect URI that is not registered
AuthorizationReturned  sent back to the client's registered redirect URI
ApiRefused             at an API endpoint
"""

from collections.abc import Mapping


class TokenRefused(Exception):
    def __init__(self, reason: str, parameter: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.parameter = parameter
        self.headers = dict(headers or {})


class AuthorizationRefused(Exception):
    def __init__(self, reason: str, parameter: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.parameter = parameter


class AuthorizationReturned(Exception):
    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.description = description


class ApiRefused(Exception):
    def __init__(self, reason: str, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message
        self.headers = dict(headers or {})
