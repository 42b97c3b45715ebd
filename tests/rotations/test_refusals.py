"""What the API server refuses of a SecretRotation, and whether it says what to do."""

import json
from typing import Any

import pytest
from rotations.site import rotation

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

INVALID: list[tuple[dict[str, Any], str]] = [
    ({"type": "Password"}, "Unsupported value"),
    ({"consumers": []}, "should have at least 1 items"),
    ({"type": "SigningKeyring", "rewrap": {"batchSize": 5}}, "spec.rewrap belongs to type AESKeyring alone"),
    ({"type": "PostgresUser", "retainPrevious": 1}, "spec.retainPrevious belongs to keyrings alone"),
    ({"type": "OpaqueSecret"}, "set mode: Restart"),
    ({"overlap": {"min": "2h", "max": "1h"}}, "make max at least as long as min"),
    ({"overlap": {"min": "soon"}}, "should match"),
    ({"schedule": {"interval": "10s"}}, "shorter than 1m"),
    ({"schedule": {"interval": "10m"}, "overlap": {"max": "1h"}}, "make the interval longer or the overlap shorter"),
    ({"schedule": {"windows": [{"from": "01:00", "until": "02:00"}]}}, "set spec.schedule.interval too"),
    ({"schedule": {"interval": "1h", "windows": [{"from": "01:00", "until": "01:00"}]}}, "from 00:00 until 24:00"),
    ({"schedule": {"interval": "1h", "windows": [{"from": "1am", "until": "02:00"}]}}, "should match"),
    ({"rewrap": {"batchSize": 0}}, "greater than or equal to 1"),
    ({"consumers": [{"kind": "DaemonSet", "name": "x"}]}, "Unsupported value"),
]


@pytest.mark.parametrize(("changes", "message"), INVALID, ids=[message for _, message in INVALID])
def test_what_cannot_work_is_refused_with_what_to_do(namespace, changes, message):
    what = rotation("invalid", "AESKeyring", "keyring", **changes)
    answer = namespace.kubectl("apply", "--dry-run=server", "-f", "-", given=json.dumps(what), check=False)
    assert message in answer


def test_type_and_secret_cannot_change(namespace):
    namespace.apply(rotation("fixed", "AESKeyring", "keyring", suspend=True))
    for change in ({"type": "SigningKeyring"}, {"secretRef": {"name": "other"}}):
        patch = json.dumps({"spec": change})
        answer = namespace.kubectl("patch", "sr/fixed", "--type=merge", "-p", patch, check=False)
        assert "make another SecretRotation" in answer
    namespace.kubectl("delete", "sr/fixed")
