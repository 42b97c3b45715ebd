"""What a worker says of its calls."""

import json

import pytest
from keybearer_operator.pools.observe import jobs_in


@pytest.mark.parametrize(
    ("said", "jobs"),
    [
        ('{"active_jobs": 2.0, "worker_load": 1.0}', 2),
        ('{"active_jobs": 3}', 3),
        ('{"worker_type": "JT_ROOM"}', 0),
        ('{"active_jobs": 0}', 0),
        ('{"active_jobs": -1}', None),
        ('{"active_jobs": 1.5}', None),
        ('{"active_jobs": "2"}', None),
        ('{"active_jobs": true}', None),
        ('{"active_jobs": NaN}', None),
        ('{"active_jobs": Infinity}', None),
        ("[]", None),
        ("null", None),
    ],
)
def test_calls_are_whole_and_not_negative(said: str, jobs: int | None) -> None:
    assert jobs_in(json.loads(said)) == jobs
