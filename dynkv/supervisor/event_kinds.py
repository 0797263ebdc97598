"""All kinds of events, and the contents of their `data`. The reference is made from this."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Kind(Struct, frozen=True):
    description: str
    """What has happened, in one line."""
    data: dict[str, str] = field(default_factory=dict)
    """Members of the event's `data`; an event need not have all."""


class EventKind(StrEnum):
    """The kind of an event."""

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
        {"adopted": "units whose processes were taken over", "ended": "how many processes were ended instead"},
    ),
    EventKind.STATE: Kind(
        "a unit has gone from one state to another",
        {
            "old": "the state before",
            "new": "the state now",
            "reason": "why it stops serving, in the categories `died`, `hung`, `not-ready`, `asked`, `followed` or "
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
    EventKind.STANDBY: Kind("the standby parks, ends, or a unit that was forked from it did not become ready"),
    EventKind.GPU_MEMORY: Kind("a unit had to wait for GPU memory, and how that ended"),
    EventKind.SIDECAR: Kind("whether the sidecar has released a dead worker's registration"),
    EventKind.DISCOVERY: Kind(
        "discovery entries of a dead worker were removed, or those of a living one were written again",
        {"entries": "the entries' names"},
    ),
    EventKind.LORA: Kind("a worker has loaded a LoRA adapter; the cause is where it was found"),
    EventKind.CLUSTER: Kind("whether etcd, in which the nodes of a cluster meet, can be reached"),
    EventKind.CUT: Kind(
        "requests ended with an error because a unit had ended; those that continued on another unit are not counted",
        {"requests": "how many", "units": "which units had ended"},
    ),
    EventKind.PORT: Kind("a port of a dead unit is still held"),
    EventKind.SHARED_MEMORY: Kind(
        "files that a dead unit left in /dev/shm were removed", {"files": "the files' names"}
    ),
    EventKind.NOTIFY: Kind(
        "a hook was told that the deployment is not well or well again, or could not be told",
        {"event": "`degraded`, `failed` or `recovered`", "ok": "whether it was told", "attempt": "which try it was"},
    ),
    EventKind.LOG: Kind("a unit's log was rotated"),
    EventKind.JOURNAL: Kind("a damaged journal was put aside, or something that had been removed was made again"),
    EventKind.FAULT: Kind(
        "something in dynkv itself went wrong, which counts as a death", {"trace": "where, for a report"}
    ),
}
"""The kinds and their descriptions."""
