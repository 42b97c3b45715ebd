"""For agent authors: act on a person's accounts through Keybearer, with a grant instead of their keys.

from keybearer_agent import Keybearer

spotify = Keybearer("https://keybearer.example.com", "kbg_…").provider("spotify")
print(spotify.get("/v1/me").json()["display_name"])
"""

from keybearer_agent.client import Keybearer, reason
from keybearer_agent.errors import (
    ApprovalNeeded,
    GrantEnded,
    KeybearerError,
    NeedsReconnect,
    NotAllowed,
    NotConfigured,
    OutcomeUnknown,
    TemporarilyUnavailable,
)

__all__ = [
    "ApprovalNeeded",
    "GrantEnded",
    "Keybearer",
    "KeybearerError",
    "NeedsReconnect",
    "NotAllowed",
    "NotConfigured",
    "OutcomeUnknown",
    "TemporarilyUnavailable",
    "reason",
]
