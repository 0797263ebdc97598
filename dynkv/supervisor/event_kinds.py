"""Every kind of event that there is, and what its `data` holds. The reference is made from this."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Kind:
    description: str
    """What has happened, in one line."""
    data: dict[str, str] = field(default_factory=dict)
    """Members of the event's `data`, which are not all in every event."""


class EventKind(StrEnum):
    """What sort of event it is."""

    DEPLOYMENT = "deployment"
    STATE = "state"
    EXIT = "exit"
    ADOPT = "adopt"
    STANDBY = "standby"
    GPU_MEMORY = "gpu-memory"
    SIDECAR = "sidecar"
    DISCOVERY = "discovery"
    LORA = "lora"
    CLUSTER = "cluster"
    CUT = "cut"
    PORT = "port"
    SHARED_MEMORY = "shared-memory"
    NOTIFY = "notify"
    LOG = "log"
    JOURNAL = "journal"
    FAULT = "fault"


KINDS = {
    EventKind.DEPLOYMENT: Kind(
        "the deployment as a whole: it starts, answers requests, is taken down, or its supervisor had died",
        {"adopted": "units whose processes are taken over", "ended": "how many processes were ended instead"},
    ),
    EventKind.STATE: Kind(
        "a unit has gone from one state to another",
        {
            "old": "the state before",
            "new": "the state now",
            "reason": "why it stops serving, as it is counted: `died`, `hung`, `not-ready`, `asked`, `followed` or "
            "`upkeep`",
            "killed": "how many processes of its tree had to be killed",
            "left": "pids that could not be ended",
        },
    ),
    EventKind.EXIT: Kind(
        "a unit's process has ended: the message says why, the cause what to do",
        {"code": "its exit code, or null", "signal": "the signal that ended it, or null"},
    ),
    EventKind.ADOPT: Kind("a process that a dead supervisor left is watched again"),
    EventKind.STANDBY: Kind("the standby parks, ends, or a unit that was forked from it did not get ready"),
    EventKind.GPU_MEMORY: Kind("a unit had to wait for GPU memory, and how that ended"),
    EventKind.SIDECAR: Kind("whether the sidecar has let go of a dead worker's registration"),
    EventKind.DISCOVERY: Kind(
        "discovery entries of a dead worker were removed, or those of a living one written again",
        {"entries": "the entries' names"},
    ),
    EventKind.LORA: Kind("a worker has loaded a LoRA adapter; the cause is where it was found"),
    EventKind.CLUSTER: Kind("whether etcd can be asked, in which the nodes of a cluster meet"),
    EventKind.CUT: Kind(
        "requests ended with an error because a unit had ended; those that went on at another unit are not counted",
        {"requests": "how many", "units": "which units had ended"},
    ),
    EventKind.PORT: Kind("a port of a dead unit is still held"),
    EventKind.SHARED_MEMORY: Kind("what a dead unit left in /dev/shm was removed", {"files": "the files' names"}),
    EventKind.NOTIFY: Kind(
        "a hook was told that the deployment is not well or well again, or could not be told",
        {"event": "`degraded`, `failed` or `recovered`", "ok": "whether it was told", "attempt": "which try it was"},
    ),
    EventKind.LOG: Kind("a unit's log was rotated"),
    EventKind.JOURNAL: Kind("a damaged journal was put aside, or what somebody removed is made again"),
    EventKind.FAULT: Kind(
        "something in dynkv itself went wrong, which counts as a death", {"trace": "where, for a report"}
    ),
}
"""By kind."""
