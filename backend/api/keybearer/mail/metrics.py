"""What became of mails."""

from prometheus_client import Counter, Gauge

MAILS = Counter("keybearer_mail_total", "Mails by what became of an attempt to send them.", ("kind", "outcome"))
WAITING = Gauge("keybearer_mail_waiting", "Mails that are not sent yet.", multiprocess_mode="livemax")
OLDEST = Gauge(
    "keybearer_mail_waiting_oldest_seconds", "Age of the oldest mail that is not sent yet.", multiprocess_mode="livemax"
)
