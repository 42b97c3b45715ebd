"""Wrong values are refused with a message that names them and says how to mend them."""

from typing import Any

import pytest
from cluster import render
from cluster.render import HOST, PORTS

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, ["hosts:", "--set 'hosts={keybearer.example.com}'", "publicUrl=http://localhost:8080"]),
        ({"hosts": ["https://kb.example.com"]}, ["hosts:", "without scheme"]),
        ({"hosts": ["KB.example.com"]}, ["hosts:", "lower case"]),
        ({"publicUrl": "https://kb.example.com/path"}, ["publicUrl:", "https://keybearer.example.com"]),
        ({"publicUrl": "http://kb.example.com"}, ["publicUrl:", "Use https"]),
        (HOST | {"httpRoute": {"enabled": True}}, ["httpRoute.enabled:", "ingress.enabled to false"]),
        (
            HOST | {"ingress": {"enabled": False}, "httpRoute": {"enabled": True}},
            ["httpRoute.parentRefs:", "{name: public"],
        ),
        (HOST | {"backend": {"hpa": {"min": 9, "max": 3}}}, ["backend.hpa.min:", "Lower the first"]),
        (HOST | {"frontendProxy": {"hpa": {"min": 11}}}, ["frontendProxy.hpa.min:", "raise the second"]),
        (
            HOST | {"backend": {"hpa": {"max": 40}}},
            ["postgres.maxConnections:", "(40 backends + 1) × (8 pooled connections + 1) + 20 is 389", "Set it to 389"],
        ),
        (
            HOST | {"backend": {"databasePoolSize": 20}, "database": {"mode": "cnpg"}},
            ["postgres.maxConnections:", "backend.databasePoolSize"],
        ),
        (HOST | {"database": {"mode": "external"}}, ["database.external.existingSecret:", "migration-url"]),
        (
            HOST | {"secrets": {"keyring": {"existingSecret": "a", "externalSecret": {"data": [{}]}}}},
            ["secrets.keyring:", "Keep one of them"],
        ),
        (
            HOST | {"secrets": {"signing": {"externalSecret": {"refreshInterval": "1h"}}}},
            ["secrets.signing.", "dataFrom"],
        ),
        (HOST | {"sandbox": {"enabled": True}}, ["sandbox.enabled:", "Set it to false"]),
        (HOST | {"livekit": {"enabled": True}}, ["livekit.url:", "wss://"]),
        (HOST | {"mail": {"from": "kb@example.com"}}, ["mail.existingSecret:", "kubectl create secret"]),
        (HOST | {"mail": {"existingSecret": "mail"}}, ["mail.from:", "keybearer@example.com"]),
        (HOST | {"livekit": {"url": "wss://live.example.com"}}, ["secrets.livekit.existingSecret:", "api-secret"]),
        (
            HOST | {"restore": {"archive": "newest", "inPlace": True}},
            ["restore.inPlace:", "Keep one of them"],
        ),
        (HOST | {"restore": {"archive": "newest"}, "backup": {"enabled": False}}, ["restore:", "backup.enabled"]),
        # What the schema says.
        (HOST | {"restore": {"archive": "../etc/passwd"}}, ["/restore/archive"]),
        (HOST | {"replicas": 3}, ["additional properties 'replicas' not allowed"]),
        (HOST | {"backend": {"replica": 3}}, ["'/backend'", "additional properties 'replica' not allowed"]),
        (
            HOST | {"backend": {"env": {"PUBLIC_URL": "x"}}},
            ["'/backend/env'", "additional properties 'PUBLIC_URL' not allowed"],
        ),
        (HOST | {"database": {"mode": "mysql"}}, ["/database/mode", "'bundled', 'external', 'cnpg'"]),
        (HOST | {"backend": {"hpa": {"max": "many"}}}, ["/backend/hpa/max", "want integer"]),
        (HOST | {"limits": {"requests": "10"}}, ["/limits/requests", "second|minute"]),
        (HOST | {"postgres": {"image": {"tag": 18}}}, ["/postgres/image/tag", "want string"]),
        (HOST | {"backup": {"schedule": "daily"}}, ["/backup/schedule"]),
    ],
    ids=str,
)
def test_refused(values: dict[str, Any], told: list[str]) -> None:
    message = render.refusal(values)

    assert [words for words in told if words not in message] == []


@pytest.mark.parametrize(
    "values",
    [
        # 41 × 9 + 20
        HOST | {"backend": {"hpa": {"max": 40}}, "postgres": {"maxConnections": 389}},
        HOST | {"backend": {"hpa": {"enabled": False}, "replicas": 3}, "postgres": {"maxConnections": 56}},
        HOST
        | {"backend": {"hpa": {"max": 400}}, "database": {"mode": "external", "external": {"existingSecret": "db"}}},
        {"publicUrl": "http://[::1]:8080"},
        PORTS | {"hosts": ["kb.example.com"], "global": {"anything": 1}},
    ],
    ids=str,
)
def test_taken(values: dict[str, Any]) -> None:
    render.render(values)
