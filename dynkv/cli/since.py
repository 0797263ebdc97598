"""`--since`: a time span or a point in time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from dynkv.errors import UsageError

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_LONGEST = 100
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def moment(text: str, now: datetime) -> datetime:
    """The time that is `90s`, `10m`, `1h30m` or `2d` before `now`, or that is given in ISO 8601, by default in `now`'s
    zone.

    Raises UsageError.
    """
    parts = _PART.findall(text[:_LONGEST])  # on a long row of digits it would take quadratic time
    try:
        if parts and "".join(number + unit for number, unit in parts) == text:
            return now - timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {text[:_LONGEST]!r} is neither a time span nor a point in time",
            hint="for example --since 10m, --since 1h30m or --since 2026-01-31T12:00",
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=now.tzinfo)
