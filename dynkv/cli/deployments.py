"""Which deployment a verb acts on, and how to reach it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from dynkv.control.client import Client
from dynkv.control.deadline import Deadline
from dynkv.errors import NotRunning, NotYours, UnknownDeployment, UsageError
from dynkv.home import Place, deployments, home, is_name, place
from dynkv.host.claims import claimed_ports
from dynkv.owned import is_own_uid
from dynkv.supervisor.journal import Journal, JournalFile, read_journal
from dynkv.supervisor.neighbours import Supervisor, has_supervisor, homes, supervisors

ELSEWHERE = "another deployment on this host"
"""Holder of a port that belongs to another user, or to a DYNKV_HOME unknown here."""


class Deployment(Struct, frozen=True):
    place: Place
    journal: JournalFile | None

    @property
    def is_supervised(self) -> bool:
        return has_supervisor(self.place)

    def fresh_journal(self) -> JournalFile | None:
        """The journal as it is on disk now."""
        return read_journal(self.place.journal)

    def close_journal(self, journal: JournalFile) -> None:
        """Record that the deployment is down, if its supervisor cannot."""
        Journal(self.place.journal, journal).close()

    @property
    def socket(self) -> Path:
        """The socket of this deployment and no other, whatever the journal says."""
        return self.place.socket

    def client(self, deadline: Deadline | None = None) -> Client:
        """A client whose requests end at the deadline."""
        return Client(self.socket, deadline=deadline)


def find(name: str | None, *, past: bool = False) -> Deployment:
    """The named deployment, or the only one; a running one wins over others. With `past`, else the newest.

    Raises UnknownDeployment, NotRunning if there is none, UsageError if the choice is ambiguous.
    """
    known = deployments(home())
    if name is not None:
        if name not in known:
            _refuse_foreign(name)
            raise UnknownDeployment(name, known)
        return opened(name)
    found, living = [opened(other) for other in known], supervisors()
    running = [deployment for deployment in found if has_supervisor(deployment.place, living)]
    candidates = running or [d for d in found if d.journal is None or not d.journal.stopped]
    if not candidates and (past or len(found) == 1):
        candidates = sorted(found, key=_last_change)[-1:]
    if not candidates:
        raise NotRunning
    if len(candidates) > 1:
        names = ", ".join(deployment.place.name for deployment in candidates)
        raise UsageError(f"there are several deployments: {names}", hint="name one of them")
    return candidates[0]


def _refuse_foreign(name: str) -> None:
    """Raise NotYours for another user's deployment, for root too."""
    with suppress(OSError):
        owner = (home() / name).stat().st_uid if is_name(name) else os.geteuid()
        if not is_own_uid(owner):
            raise NotYours(name, owner)


def _last_change(deployment: Deployment) -> float:
    try:
        return deployment.place.journal.stat().st_mtime
    except OSError:
        return 0.0


def planned_ports(except_for: str, living: Sequence[Supervisor]) -> dict[int, str]:
    """Ports that other deployments of this host have planned, including those of units that are down at the moment.

    `living`: all living supervisors.
    """
    taken: dict[int, str] = {}
    for directory, name in [(it, name) for it in {home(), *homes(living)} for name in deployments(it)]:
        deployment = opened(name, directory)
        if (directory, name) == (home(), except_for) or deployment.journal is None or deployment.journal.stopped:
            continue
        if deployment.journal.plan is not None:
            taken |= dict.fromkeys(deployment.journal.plan.ports, f"the deployment {name!r}")
        for unit in deployment.journal.units:
            taken |= dict.fromkeys(unit.ports.values(), f"the deployment {name!r} ({unit.name})")
    return taken


def claimed_by_others(name: str) -> dict[int, str]:
    """Ports claimed by deployments that are not in this user's directory."""
    journal = opened(name).journal
    own = {*journal.plan.ports} if journal is not None and journal.plan is not None else set()
    return dict.fromkeys(claimed_ports() - own, ELSEWHERE)


def opened(name: str, home_dir: Path | None = None) -> Deployment:
    """The deployment of that name, even if it has no files yet."""
    where = place(home_dir or home(), name)
    return Deployment(where, read_journal(where.journal))
