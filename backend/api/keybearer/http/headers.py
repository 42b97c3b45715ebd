"""Security headers that every answer of ours carries; the proxied answers of providers get their own."""

RawHeaders = list[tuple[bytes, bytes]]

_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: https:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def security_headers(*, secure: bool) -> RawHeaders:
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", _POLICY.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"permissions-policy", b"camera=(), geolocation=(), payment=(), usb=(), microphone=(self)"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]
    if secure:
        headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
    return headers


def merged(own: RawHeaders, security: RawHeaders) -> RawHeaders:
    """An answer's own header wins, so that each is there once."""
    present = {name.lower() for name, _ in own}
    return own + [(name, value) for name, value in security if name not in present]


def first(headers: RawHeaders, name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)
