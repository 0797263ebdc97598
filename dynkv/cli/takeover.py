"""What an `up` finds of its deployment that runs without a supervisor, and what it may do with that."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from dynkv.children.tree import Host
from dynkv.errors import NotUnderstood
from dynkv.home import Place
from dynkv.host.described import described
from dynkv.host.processes import Process
from dynkv.supervisor.journal import JournalFile, read_journal
from dynkv.supervisor.survivors import survivors


@dataclass(frozen=True, slots=True)
class Orphans:
    """Processes that a dead supervisor left, and its journal as it was then."""

    processes: Sequence[Process] = ()
    journal: JournalFile | None = None

    def units_taken_over(self, now: JournalFile | None) -> frozenset[str]:
        """Those that go on with the process that ran before."""
        before = self.journal.children if self.journal else {}
        after = now.children if now else {}
        same = (
            name for name, child in after.items() if name in before and before[name].incarnation == child.incarnation
        )
        return frozenset(same)

    def were_taken_over(self, now: JournalFile | None) -> bool:
        """Whether any goes on, by the journal that a new supervisor has written `now`; it does so before it reports.

        It goes on with the time at which the deployment was started, or at least with a child. A journal that says
        nothing does not allow to end what may have been taken over.
        """
        if not self.processes or self.journal is None:
            return False
        if now is None or now.started_at == self.journal.started_at:
            return True
        return bool(self.units_taken_over(now))


def orphans(where: Place, host: Host | None = None) -> Orphans:
    """Of a deployment without a supervisor, among those of `host`, else at this moment."""
    journal = read_journal(where.journal)
    return Orphans(survivors(journal, where, host), journal)


def agree_to_end(unclear: Sequence[Process], name: str) -> None:
    """Ask whether processes may be ended of which no journal tells; raises NotUnderstood unless a person says so."""
    refusal = NotUnderstood(name, [described(process.pid) for process in unclear])
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise refusal
    question = f"{refusal.what}:\n{refusal.detail}\nEnd them, and start {name} anew?"
    if not typer.confirm(question, default=False):
        raise refusal
