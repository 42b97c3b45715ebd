"""When a rotation is due. Pure: the clock is handed in."""

from datetime import datetime, time, timedelta

from keybearer_operator.rotation.model import Window

_DAY = timedelta(days=1)
_LOOK_AHEAD_DAYS = 8


def next_time(rotated: datetime, interval: timedelta, windows: tuple[Window, ...], now: datetime) -> datetime:
    """The earliest moment, not before `now` when it is past due, at which a rotation may begin."""
    due = rotated + interval
    if not windows:
        return due
    return _in_window(max(due, now), windows)


def is_due(rotated: datetime, interval: timedelta, windows: tuple[Window, ...], now: datetime) -> bool:
    return next_time(rotated, interval, windows, now) <= now


def _in_window(moment: datetime, windows: tuple[Window, ...]) -> datetime:
    """`moment` itself inside a window, else the start of the next."""
    midnight = datetime.combine(moment.date(), time(), moment.tzinfo)
    # From the day before: its window may go past midnight.
    days = [midnight + offset * _DAY for offset in range(-1, _LOOK_AHEAD_DAYS)]
    openings = [(day + each.opens, each.lasts) for day in days for each in windows if day.weekday() in each.days]
    return min(max(opens, moment) for opens, lasts in openings if opens + lasts > moment)
