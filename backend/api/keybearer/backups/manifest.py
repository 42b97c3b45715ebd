"""What an archive says of itself, before anything else in it."""

import json
from dataclasses import dataclass
from datetime import datetime

from keybearer.backups.errors import BackupError

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the ledger had come: its era, the newest signed batch (0 and no hash before the first) and row."""

    era: int
    batch: int
    batch_hash: str | None
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`keyring` is the revision of all its keys (rule R9); `keks` names those under which data in here is encrypted."""

    made_at: datetime
    product: str
    schema: str
    ledger: Position
    keyring: str
    keks: tuple[str, ...]

    def encoded(self) -> bytes:
        ledger = self.ledger
        return json.dumps({
            "format": FORMAT,
            "made_at": self.made_at.isoformat(),
            "product": self.product,
            "schema": self.schema,
            "ledger": {"era": ledger.era, "batch": ledger.batch, "hash": ledger.batch_hash, "row": ledger.row},
            "keyring": self.keyring,
            "keks": list(self.keks),
        }).encode()  # fmt: skip

    @classmethod
    def decoded(cls, encoded: bytes) -> "Manifest":
        document = json.loads(encoded)
        if document["format"] != FORMAT:
            raise BackupError(
                f"The archive's content has format {document['format']}, which this version does not know. Use the "
                f"version {document['product']} or a newer one."
            )
        ledger = document["ledger"]
        return cls(
            made_at=datetime.fromisoformat(document["made_at"]),
            product=document["product"],
            schema=document["schema"],
            ledger=Position(era=ledger["era"], batch=ledger["batch"], batch_hash=ledger["hash"], row=ledger["row"]),
            keyring=document["keyring"],
            keks=tuple(document["keks"]),
        )
