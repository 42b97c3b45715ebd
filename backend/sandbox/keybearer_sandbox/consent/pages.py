"""The consent page and the error page, in plain HTML without any script.

The consent form is a GET of the same address with the choice added, which is exactly what a script sends; so a
person and a script take one path.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from keybearer_sandbox.accounts import ACCOUNTS, Account
from keybearer_sandbox.oauth.provider import Provider
from keybearer_sandbox.oauth.refusals import AuthorizationRefused

STYLESHEET_PATH = "/sandbox.css"
_STYLESHEET = Path(__file__).with_name("sandbox.css")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def consent(provider: Provider, fields: Mapping[str, str], scopes: tuple[str, ...]) -> Response:
    title = f"Sign in with {provider.title} (sandbox)"
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
        if not name.startswith("sandbox_")
    )
    hint = fields.get("login_hint", "").lower()
    chosen = next((a for a in ACCOUNTS if a.email == hint), ACCOUNTS[0])
    accounts = "".join(_account_choice(a, checked=a is chosen) for a in ACCOUNTS)
    asked = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)
    wishes = f"<ul>{asked}</ul>" if asked else "<p>Only to know who you are.</p>"
    body = f"""
<h1>{escape(title)}</h1>
<p><strong>{escape(fields.get("client_id", ""))}</strong> asks for access to an account.</p>
<form method="get">
{hidden}
<fieldset><legend>Which account?</legend>{accounts}</fieldset>
<h2>What it asks for</h2>
{wishes}
<div class="actions">
<button type="submit" name="sandbox_decision" value="allow" class="primary">Allow</button>
<button type="submit" name="sandbox_decision" value="deny">Deny</button>
</div>
</form>"""
    return _page(title, body, 200)


def refusal(provider: Provider, refused: AuthorizationRefused) -> Response:
    words = provider.authorization_refusals[refused.reason]
    description = words.description.format(parameter=refused.parameter)
    title = f"{provider.title} (sandbox) refused the request"
    body = f"""
<h1>{escape(title)}</h1>
<p><strong>Error {words.status}: {escape(words.error)}</strong></p>
<p>{escape(description)}</p>"""
    return _page(title, body, words.status)


def notice(title: str, sentence: str, status: int = 200) -> Response:
    return _page(title, f"<h1>{escape(title)}</h1><p>{escape(sentence)}</p>", status)


def stylesheet() -> Response:
    headers = {"Cache-Control": "max-age=300", "X-Content-Type-Options": "nosniff"}
    return Response(_STYLESHEET.read_bytes(), 200, headers, media_type="text/css")


def _account_choice(account: Account, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    return (
        f'<label class="account"><input type="radio" name="sandbox_account" value="{escape(account.email)}"{mark}>'
        f"<span>{escape(account.name)}<small>{escape(account.email)}</small></span></label>"
    )


def _page(title: str, body: str, status: int) -> Response:
    document = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="stylesheet" href="{STYLESHEET_PATH}">
</head>
<body>
<p class="banner" role="note">Sandbox: a fake provider for development and tests. No real account is used.</p>
<main>{body}
</main>
</body>
</html>
"""
    return HTMLResponse(document, status, _HEADERS)
