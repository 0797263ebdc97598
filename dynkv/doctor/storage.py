"""Whether there is enough disk space for logs and L2. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding

_GB = 1000**3
_LEAST_BYTES = 16 * 1000**2
"""Space for journal, events, sockets and the first lines of the logs."""


def checks(case: Case) -> Iterator[Finding]:
    yield from _home(case)
    if case.has_sidecar and case.profile.lmcache.l2:
        from dynkv.doctor import l2_storage  # with the models of all adapters

        yield from l2_storage.checks(case)


def _home(case: Case) -> Iterator[Finding]:
    free, logs = case.facts.home_free_bytes, case.profile.logs
    if free is None:
        return
    wanted = logs.max_mb * 1_000_000 * (logs.keep + 1) * len(case.plan.units)
    if free < _LEAST_BYTES:
        yield finding(
            "disk-full",
            f"{free // 1000**2} MB are free on the disk of DYNKV_HOME",
            "journal and logs go there, and without them a deployment cannot be taken over",
            "free some space, or set DYNKV_HOME to a directory on another disk",
        )
    elif free < wanted:
        yield finding(
            "disk-for-logs",
            f"the logs may grow to {wanted / _GB:.1f} GB, but {free / _GB:.1f} GB are free on the disk of DYNKV_HOME",
            "when it is full, journal and logs are lost",
            "free some space, or lower logs.max_mb or logs.keep",
            case.loaded.where("logs"),
        )
