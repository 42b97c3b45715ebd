"""Which work runs by itself, and where: in every process, or in the one that holds a lease (rule R8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keybearer.events import background as events
from keybearer.kit.leases import Elected
from keybearer.ledger import background as ledger
from keybearer.sessions import background as sessions
from keybearer.signin import background as signin
from keybearer.vault import background as vault

if TYPE_CHECKING:
    from keybearer.bootstrap.services import Services

_SEAL_SECONDS = 1.0
_PRUNE_SECONDS = 60.0
_GAUGE_SECONDS = 30.0
