"""Pages of a provider's lists: the next one is found through the proxy too (RFC 8288).

A `Link` header names absolute addresses of the provider's API. A client that followed one would present its grant
there, where it is worth nothing; so addresses that the proxy can reach are written as the proxy's own.
"""

import re

from keybearer.providers.model import Provider

_TARGET = re.compile(rb"<([^<>]*)>")


def through_proxy(value: bytes, provider: Provider, origin: str) -> bytes:
    """The header's value with every target under one of the provider's API addresses led back to us."""
    bases = sorted((api.base.encode() for api in provider.apis), key=len, reverse=True)
    ours = f"{origin}/api/proxy/{provider.name}".encode()

    def replaced(found: re.Match[bytes]) -> bytes:
        target = found[1]
        for base in bases:
            if target.startswith(base + b"/"):
                return b"<" + ours + target.removeprefix(base) + b">"
        return found[0]

    return _TARGET.sub(replaced, value)
