"""A server that speaks S3 over HTTP as the real ones do, and fails as they do: what is outside, for these tests.

PUT, GET, HEAD, DELETE and ListObjectsV2 in pages, by path-style names. Every request must carry a Signature Version 4
that fits its bytes (AWS, "Create a signed AWS API request"), and a Content-MD5 must fit the body.
"""

import base64
import hashlib
import hmac
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

KEY_ID, SECRET = "AKIATESTTESTTESTTEST", "test+secret/0123456789"
_STATUS = {"AccessDenied": 403, "InvalidAccessKeyId": 403, "SignatureDoesNotMatch": 403, "BadDigest": 400}
_STATUS |= {"NoSuchBucket": 404, "NoSuchKey": 404, "SlowDown": 503, "AuthorizationHeaderMalformed": 400}


@dataclass
class Store:
    """What a test looks at. `faults` are (method, part of the key, what to do) and happen once each, in any order."""

    bucket: str = "backups"
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, str, str]] = field(default_factory=list)
    page: int = 1000
    region: str = "us-east-1"
    denied: frozenset[str] = frozenset()
    url: str = ""

    def fault(self, method: str, key: str) -> str | None:
        for fault in self.faults:
            if fault[0] == method and fault[1] in key:
                self.faults.remove(fault)
                return fault[2]
        return None

    def methods(self, part: str = "") -> list[str]:
        return [method for method, key in self.requests if part in key]


@contextmanager
def serving() -> Iterator[Store]:
    store = Store()

    class Bound(_Handler):
        pass

    Bound.store = store
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The environment leads to it, and to no other."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with serving() as store:
        given = {"ACCESS_KEY_ID": KEY_ID, "SECRET_ACCESS_KEY": SECRET, "ENDPOINT_URL_S3": store.url}
        for name, value in {**given, "EC2_METADATA_DISABLED": "true", "CONFIG_FILE": "/nonexistent"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        yield store


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: Store

    def answer(self) -> None:
        url = urlsplit(self.path)
        _, bucket, key = unquote(url.path).split("/", 2) if url.path.count("/") > 1 else (*url.path.split("/"), "")
        if self.headers.get("Expect") == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.store.requests.append((self.command, key))
        fault = self.store.fault(self.command, key)
        code = self._refusal(url.path, url.query, body, bucket)
        if fault == "drop":
            self._hang_up()
        elif fault in _STATUS or code:
            self._fail(fault if fault in _STATUS else code or "")
        elif self.command == "PUT":
            self.store.objects[key] = body
            self._hang_up() if fault == "drop after" else self._send(200, b"", ETag=_tag(body))
        elif self.command == "DELETE":
            self.store.objects.pop(key, None)
            self._send(204, b"")
        elif not key:
            self._send(200, self._list(dict(parse_qsl(url.query))), **{"Content-Type": "application/xml"})
        elif (found := self.store.objects.get(key)) is None:
            self._fail("NoSuchKey")
        else:
            self._send(200, found, cut=fault == "cut", ETag=_tag(found), **{"Last-Modified": formatdate(usegmt=True)})

    do_GET = do_HEAD = do_PUT = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        pass

    def _refusal(self, path: str, query: str, body: bytes, bucket: str) -> str | None:
        digest = self.headers.get("Content-MD5")
        if digest is not None and base64.b64decode(digest) != hashlib.md5(body).digest():
            return "BadDigest"
        if (code := self._signature_problem(path, query, body)) is not None:
            return code
        if self.command in self.store.denied:
            return "AccessDenied"
        return None if bucket == self.store.bucket else "NoSuchBucket"

    def _signature_problem(self, path: str, query: str, body: bytes) -> str | None:
        kind, _, rest = self.headers.get("Authorization", "").partition(" ")
        given = dict(part.strip().split("=", 1) for part in rest.split(",") if part)
        if kind != "AWS4-HMAC-SHA256":
            return "AccessDenied"
        key_id, day, region, service, end = given["Credential"].split("/")
        if key_id != KEY_ID:
            return "InvalidAccessKeyId"
        if region != self.store.region:
            return "AuthorizationHeaderMalformed"
        if self.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return "SignatureDoesNotMatch"
        names = given["SignedHeaders"].split(";")
        pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(query, True))
        canonical = "\n".join((
            self.command,
            path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(self.headers[name].split())}" for name in names),
            "",
            given["SignedHeaders"],
            self.headers["x-amz-content-sha256"],
        ))  # fmt: skip
        scope = f"{day}/{region}/{service}/{end}"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join(("AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, hashed))
        key = f"AWS4{SECRET}".encode()
        for part in (day, region, service, end, text):
            key = hmac.new(key, part.encode(), "sha256").digest()
        return None if hmac.compare_digest(key.hex(), given["Signature"]) else "SignatureDoesNotMatch"

    def _list(self, query: dict[str, str]) -> bytes:
        after = query.get("continuation-token", "")
        keys = sorted(key for key in self.store.objects if key.startswith(query.get("prefix", "")) and key > after)
        page = keys[: self.store.page]
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if len(keys) > len(page) else ""
        contents = "".join(
            f"<Contents><Key>{quote(key, safe='/')}</Key><Size>{len(self.store.objects[key])}</Size>"
            f"<LastModified>2026-11-23T02:00:00.000Z</LastModified><ETag>{_tag(self.store.objects[key])}</ETag>"
            "</Contents>"
            for key in page
        )
        return (
            f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>x</Name>'
            f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{'true' if more else 'false'}</IsTruncated>"
            f"<EncodingType>url</EncodingType>{more}{contents}</ListBucketResult>"
        ).encode()

    def _send(self, status: int, body: bytes, *, cut: bool = False, **headers: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def _fail(self, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>sent: {self.headers}</Message></Error>"
        self._send(_STATUS[code], b"" if self.command == "HEAD" else text.encode())

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()


def _tag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'
