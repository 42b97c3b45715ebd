"""An invitation that nobody used yet."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    email: str
    role: str
    expires_at: datetime
