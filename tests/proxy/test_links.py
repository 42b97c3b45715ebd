"""Addresses in `Link` headers: those of the provider's API lead through the proxy, all others stay."""

from dataclasses import replace

import pytest
from keybearer.providers import catalogue
from keybearer.providers.model import Api
from keybearer.proxy.links import through_proxy

GITHUB = replace(
    catalogue.load(None)["github"],
    apis=(Api("/", "https://api.github.com"), Api("/uploads/", "https://api.github.com/v9")),
)
OURS = "https://kb.example/api/proxy/github"


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        (
            '<https://api.github.com/a/issues?page=2>; rel="next", <https://api.github.com/x?page=9>; rel="last"',
            f'<{OURS}/a/issues?page=2>; rel="next", <{OURS}/x?page=9>; rel="last"',
        ),
        ("<https://api.github.com/v9/uploads/1>; rel=next", f"<{OURS}/uploads/1>; rel=next"),
        ("<https://api.github.com.evil.example/x>; rel=next", "<https://api.github.com.evil.example/x>; rel=next"),
        ("<https://docs.github.com/rest>; rel=help", "<https://docs.github.com/rest>; rel=help"),
        ("</repos?page=2>; rel=next", "</repos?page=2>; rel=next"),
        ("https://api.github.com/x", "https://api.github.com/x"),
        ("", ""),
    ],
)
def test_targets(given, answered):
    assert through_proxy(given.encode(), GITHUB, "https://kb.example").decode() == answered
