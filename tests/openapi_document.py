"""The API's own OpenAPI document, without a server: `python tests/openapi_document.py` writes it for the UI's types."""

import base64
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

COMMITTED = Path(__file__).parent.parent / "frontend-proxy/ui/openapi.json"


def of_this_code() -> dict[str, Any]:
    """As GET /api/openapi.json answers it. Building the services opens no connection, so none of them has to exist."""
    from keybearer.bootstrap.application import api
    from keybearer.bootstrap.services import build
    from keybearer.http.document import document
    from keybearer.kit import settings

    with tempfile.TemporaryDirectory(prefix="kb-") as folder:
        found = settings.read(_environment(Path(folder)))
        return document(api(found, build(found)))


def text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _environment(folder: Path) -> dict[str, str]:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, key in (("keyring", base64.b64encode(os.urandom(32))), ("signing", pem)):
        (folder / name).mkdir()
        (folder / name / "primary").write_text("k1")
        (folder / name / "k1").write_bytes(key)
    return {
        "KEYBEARER_PUBLIC_URL": "http://localhost:8080",
        "KEYBEARER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "KEYBEARER_KEYRING_DIR": str(folder / "keyring"),
        "KEYBEARER_SIGNING_KEYRING_DIR": str(folder / "signing"),
    }


if __name__ == "__main__":
    COMMITTED.write_text(text(of_this_code()))
    print(f"{COMMITTED} written; now `npm run types` in {COMMITTED.parent}")
