"""What an end means: why it happened, whether starting again can help, and how long a stop may take. Pure."""

from __future__ import annotations

import errno
import signal
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from dynkv.children.child import Exit
from dynkv.children.lines import telling
from dynkv.children.stop import Stopped
from dynkv.plan.model import Role, Unit
from dynkv.supervisor.diagnosis import Diagnosis, diagnose
from dynkv.supervisor.inbox import Request
from dynkv.supervisor.status import LastExit

IDLE_AFTER_FORK = "it did nothing for a while after it had started from the standby"
_TAIL_LINES = 12
"""Lines of a dead child's log in its status: with their surroundings they fit on a screen."""
_FOREGROUND = (
    "have it stay in the foreground: `daemon off`, `daemonize no`, `--foreground`, `-D` or `--no-daemon`, or `exec` "
    "before the last command of a script"
)
_HUNG_STOP_S = 3.0
_SENT_BY_OTHERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Reason(StrEnum):
    """Why a unit stops serving, by category."""

    DIED = "died"
    HUNG = "hung"
    """It made no progress."""
    NOT_READY = "not-ready"
    """It never became ready."""
    ASKED = "asked"
    """A person requested it."""
    FOLLOWED = "followed"
    """Another unit's restart was the reason."""
    UPKEEP = "upkeep"
    """dynkv saw a reason to restart it, for example that nothing is routed to it any more."""
    FAULT = "fault"
    """Something in dynkv went wrong."""


class Ending(Struct, frozen=True):
    """Why an incarnation must end, or has ended."""

    cause: str
    request: Request | None = None
    """None if nobody requested it."""
    unasked: Reason = Reason.DIED
    """The reason if nobody requested it."""

    @property
    def reason(self) -> Reason:
        if self.request is None:
            return self.unasked
        return Reason.FOLLOWED if self.request.follows else Reason.UPKEEP if self.request.by_itself else Reason.ASKED

    @property
    def is_stop(self) -> bool:
        """Whether it should not start again."""
        return self.request is not None and self.request.is_stop

    @property
    def is_final(self) -> bool:
        return self.request is not None and self.request.final

    @property
    def follows(self) -> bool:
        return self.request is not None and self.request.follows


class Verdict(Struct, frozen=True):
    last_exit: LastExit
    permanent: bool
    """Whether starting it again cannot help, if it has never been ready."""


def verdict(
    role: Role,
    ending: Ending,
    exit_: Exit,
    lines: Sequence[str],
    at: str,
    *,
    oom_killed: bool,
    goes_on_without: bool = False,
) -> Verdict:
    """The verdict. `lines` are the last of its log; `oom_killed`: the kernel has killed something for lack of memory
    in its time; `goes_on_without`: it exited with 0, but processes it had started lived on."""
    if ending.request is not None:
        found = Diagnosis(ending.cause, "", permanent=False)
    elif goes_on_without:
        found = Diagnosis(f"it put itself into the background ({exit_})", _FOREGROUND, permanent=True)
    else:
        found = diagnose(exit_, lines, is_stack=not role.is_own, oom_killed=oom_killed)
    # one that had to be ended, for example because it hung, died of that and not of its signal
    by_itself = ending.request is not None or ending.cause == str(exit_)
    reason = found.reason if by_itself else f"{ending.cause} ({exit_})"
    last = LastExit(
        exit_.code,
        exit_.signal,
        reason,
        found.hint,
        at,
        tuple(telling(lines)[-_TAIL_LINES:]),
        ending.request is not None,
    )
    return Verdict(last, found.permanent)


def standby_fault(cause: str, exit_: Exit, lines: Sequence[str]) -> str | None:
    """Why a unit forked from the standby, which was never ready, may have died because of that; None if it did not."""
    by_itself = died_by_itself(cause, exit_)
    found = diagnose(exit_, lines)
    if found.permanent or not (by_itself or cause == IDLE_AFTER_FORK):
        return None
    return found.reason if by_itself else cause


def died_by_itself(cause: str, exit_: Exit) -> bool:
    """Whether no signal from elsewhere ended it."""
    return cause == str(exit_) and exit_.signal not in _SENT_BY_OTHERS


def birth_fault(unit: Unit, error: OSError | ValueError) -> tuple[str, str]:
    """Why it could not be started, and what to do."""
    reason = f"cannot run {unit.argv[0]}: {getattr(error, 'strerror', None) or error}"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return reason, "raise the limit of open files: `ulimit -Hn` shows it"
    if isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.ENOMEM):
        return reason, "raise the limit of processes or of memory: `ulimit -a` shows them"
    return reason, f"check {f'`argv` of {unit.name}' if unit.role.is_own else '`python`'} in the profile"


def stop_deadline_s(unit: Unit, ending: Ending, *, has_exited: bool) -> float:
    """Seconds from SIGTERM to SIGKILL."""
    if ending.request is None and not has_exited:
        return _HUNG_STOP_S  # it ignores SIGTERM, and holds up what waits for it
    if is_drained(unit, ending):
        return 0.0
    return unit.stop_timeout_s


def is_drained(unit: Unit, ending: Ending) -> bool:
    """Whether a grace period would be useless: a worker has no request, a sidecar nothing to write."""
    if unit.role is Role.LMCACHE:
        return ending.is_final and unit.killed_at_end
    return unit.role.is_worker and ending.request is not None and (ending.request.final or ending.request.drained)


def in_words(stopped: Stopped, unit: Unit, ending: Ending) -> str:
    is_early = is_drained(unit, ending)
    late = "was killed: it had nothing left to do" if is_early else "did not end before its deadline and was killed"
    words = "ended in time" if stopped.in_time else late
    if stopped.in_time and stopped.killed:
        words += f"; {stopped.killed} processes it left behind were killed"
    return words + (f"; still there: {', '.join(map(str, stopped.left))}" if stopped.left else "")
