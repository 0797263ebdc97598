"""Every kind of event that there is, and what its `data` holds. The reference is made from this."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Kind:
    description: str
    """What has happened, in one line."""
    data: dict[str, str] = field(default_factory=dict)
    """Members of the event's `data`, which are not all in every event."""


KINDS = {
    "deployment": Kind(
        "the deployment as a whole: it starts, answers requests, is taken down, or its supervisor had died",
        {"adopted": "units whose processes are taken over", "ended": "how many processes were ended instead"},
    ),
    "state": Kind(
        "a unit has gone from one state to another",
        {
            "old": "the state before",
            "new": "the state now",
            "killed": "how many processes of its tree had to be killed",
            "left": "pids that could not be ended",
        },
    ),
    "exit": Kind(
        "a unit's process has ended: the message says why, the cause what to do",
        {"code": "its exit code, or null", "signal": "the signal that ended it, or null"},
    ),
    "adopt": Kind("a process that a dead supervisor left is watched again"),
    "standby": Kind("the standby parks, ends, or a unit that was forked from it did not get ready"),
    "gpu-memory": Kind("a unit had to wait for GPU memory, and how that ended"),
    "sidecar": Kind("whether the sidecar has let go of a dead worker's registration"),
    "discovery": Kind(
        "discovery entries of a dead worker were removed, or those of a living one written again",
        {"entries": "the entries' names"},
    ),
    "port": Kind("a port of a dead unit is still held"),
    "shared-memory": Kind("what a dead unit left in /dev/shm was removed", {"files": "the files' names"}),
    "log": Kind("a unit's log was rotated"),
    "journal": Kind("the journal of an earlier supervisor was damaged, and put aside"),
    "fault": Kind("something in dynkv itself went wrong; the unit goes on", {"trace": "where, for a report"}),
}
"""By name."""
