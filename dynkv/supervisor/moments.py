"""Times in status, events and journals: ISO 8601, UTC, in milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds_of(moment: str) -> float | None:
    """Seconds since 1970 of a time from utc_now(); None if it is not such a time."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError):
        return None


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
