"""The door to a bucket: four calls, and failures that say what to do. The one place that knows the S3 library.

Credentials, region and endpoint are found as every program for S3 finds them: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY or the pod's identity, AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_CA_BUNDLE.
"""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from keybearer.backups.errors import BackupError

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9._=-]+)*)/?")
_REGION = "us-east-1"  # what servers that are not Amazon's take for granted
_ATTEMPTS = 4
_MD5 = re.compile(r"[0-9a-f]{32}")

_NO_BUCKET = "There is no such bucket. Make it, or correct the address."
_DENIED = (
    "The credentials may not do this. They need s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and "
    "s3:DeleteObject on what is in it."
)
_CREDENTIALS = (
    "The credentials are not known there, or their secret is wrong. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)
_REGION_WRONG = "The bucket is in another region. Set AWS_REGION to it."
_BUSY = "The server is too busy or not available, and was asked several times. It is tried again later."
_ADVICE = {
    "NoSuchBucket": _NO_BUCKET,
    "404": _NO_BUCKET,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "ExpiredToken": "The credentials have expired. Give new ones.",
    "RequestTimeTooSkewed": "This machine's clock differs from the server's by more than it takes. Set it right.",
    "PermanentRedirect": _REGION_WRONG,
    "AuthorizationHeaderMalformed": _REGION_WRONG,
    "IllegalLocationConstraintException": _REGION_WRONG,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "BadDigest": "What arrived there is not what was sent. Look at the network in between; it is tried again later.",
    "QuotaExceeded": "There is no room left in the bucket. Raise its quota.",
    "NoCredentialsError": (
        "There are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod an identity."
    ),
    "PartialCredentialsError": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together, and one of them is missing.",
    "SSLError": "The server's certificate is not trusted. Name its authority's file in AWS_CA_BUNDLE.",
}
_UNREACHABLE = "The server cannot be reached. Check AWS_ENDPOINT_URL_S3, DNS and the network policies on the way there."

Result = TypeVar("Result")


class BucketError(BackupError):
    """The bucket, not a file, is what is wrong: going on with the next file would fail as well."""


@dataclass(frozen=True, slots=True)
class Address:
    """`prefix` is empty or ends in a slash."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        match = _ADDRESS.fullmatch(url)
        if match is None:
            raise BackupError(f"{url!r} names no bucket. Write it as s3://bucket or s3://bucket/folder.")
        return cls(match[1], f"{match[2][1:]}/" if match[2] else "")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


class Bucket:
    """Names in here are relative to the address's prefix. Every call raises BucketError; many threads may share it."""

    def __init__(self, address: Address, environment: Mapping[str, str] = os.environ) -> None:
        self.address = address
        with _explained(address):
            self._client = _client(environment)

    def put(self, name: str, content: bytes) -> None:
        """Written whole or not at all: the server compares what arrived with its digest, and is asked for it again."""
        digest = hashlib.md5(content, usedforsecurity=False)  # what S3 calls Content-MD5; AES-GCM guards the content
        stored = {"Bucket": self.address.bucket, "Key": self.address.prefix + name}
        with _explained(self.address):
            encoded = base64.b64encode(digest.digest()).decode()
            self._client.put_object(**stored, Body=content, ContentMD5=encoded)
            found = self._client.head_object(**stored)
        tag = found.get("ETag", "").strip('"')
        # Under a key of the server's own, a tag is something else than the content's digest.
        is_digest = _MD5.fullmatch(tag) and not str(found.get("ServerSideEncryption", "")).startswith("aws:kms")
        if found["ContentLength"] != len(content) or (is_digest and tag != digest.hexdigest()):
            raise BucketError(f"{self.address}: {name} is not there as it was written. It is written again later.")

    def find(self, name: str) -> bytes | None:
        """The content, of which there is as much in memory. None where there is no such object."""
        try:
            return _repeated(lambda: self._read(name))
        except _NotThere:
            return None

    def names(self) -> Iterator[str]:
        with _explained(self.address):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.address.bucket, Prefix=self.address.prefix):
                for item in page.get("Contents", ()):
                    yield item["Key"].removeprefix(self.address.prefix)

    def remove(self, name: str) -> None:
        with _explained(self.address):
            self._client.delete_object(Bucket=self.address.bucket, Key=self.address.prefix + name)

    def _read(self, name: str) -> bytes:
        with _explained(self.address):
            answer = self._client.get_object(Bucket=self.address.bucket, Key=self.address.prefix + name)
            content: bytes = answer["Body"].read()
        return content


class _NotThere(BucketError):
    pass


class _CutOff(BucketError):
    """The library repeats a request, but not the reading of its answer."""


def _repeated(read: Callable[[], Result]) -> Result:
    for _ in range(_ATTEMPTS - 1):
        try:
            return read()
        except _CutOff:
            continue
    return read()


def _client(environment: Mapping[str, str]) -> Any:
    try:
        import boto3  # type: ignore[import-untyped]  # the library has no types
        from botocore.config import Config  # type: ignore[import-untyped]  # as above
    except ImportError as error:
        raise BackupError("The library for S3 is not installed. Install `keybearer[s3]`.") from error
    # By default the library names buckets in host names and adds checksums of its own; servers that are not Amazon's
    # often know neither.
    own_server = bool(environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL"))
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        s3={"addressing_style": "path" if own_server else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or _REGION
    # A session of its own: the library's common one keeps the credentials that it found first.
    return boto3.session.Session().client("s3", region_name=region, config=config)


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    """Never quotes an answer: who knows what is in it."""
    from botocore.exceptions import (  # type: ignore[import-untyped]  # the library has no types
        BotoCoreError,
        ClientError,
        IncompleteReadError,
        ReadTimeoutError,
        ResponseStreamingError,
    )

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        kind = _NotThere if code == "NoSuchKey" else BucketError
        advice = _ADVICE.get(code, "Look that code up in the documentation of S3.")
        raise kind(f"{address}: {advice} ({code})") from error
    except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError) as error:
        raise _CutOff(f"{address}: {_UNREACHABLE} ({type(error).__name__})") from error
    except BotoCoreError as error:
        name = type(error).__name__
        raise BucketError(f"{address}: {_ADVICE.get(name, _UNREACHABLE)} ({name})") from error
    except ValueError as error:  # what the library says of an endpoint that is no URL
        raise BucketError(f"{address}: AWS_ENDPOINT_URL_S3 is no URL. Write it as https://s3.example.com.") from error
