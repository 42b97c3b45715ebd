"""When maintenance last went well; 0 is never, so that an alert on its age needs no second rule."""

from prometheus_client import Gauge

LAST_SUCCESS = {
    "backup": Gauge(
        "keybearer_backup_last_success_timestamp_seconds",
        "When the newest verified backup was made.",
        multiprocess_mode="livemax",
    ),
    "drill": Gauge(
        "keybearer_restore_drill_last_success_timestamp_seconds",
        "When a backup was last restored for trial and found whole.",
        multiprocess_mode="livemax",
    ),
    "prune": Gauge(
        "keybearer_prune_last_success_timestamp_seconds",
        "When what is old was last removed.",
        multiprocess_mode="livemax",
    ),
}
