"""Processes of a deployment that run without a supervisor, as `up` finds them, and what it may do with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from msgspec import Struct

from dynkv.children.tree import Host
from dynkv.errors import NotUnderstood
from dynkv.home import Place
from dynkv.host.described import described
from dynkv.host.processes import Process
from dynkv.supervisor.journal import JournalFile, read_journal
from dynkv.supervisor.survivors import survivors


class Orphans(Struct, frozen=True):
    """Processes that a dead supervisor left, and its journal at that time."""

    processes: Sequence[Process] = ()
    journal: JournalFile | None = None

    def units_taken_over(self, now: JournalFile | None) -> frozenset[str]:
        """The units that still run in the process that ran before."""
        before = self.journal.children if self.journal else {}
        after = now.children if now else {}
        same = (
            name for name, child in after.items() if name in before and before[name].incarnation == child.incarnation
        )
        return frozenset(same)

    def were_taken_over(self, now: JournalFile | None) -> bool:
        """Whether any was taken over, by the journal `now`, which a new supervisor writes before it reports.

        It was if the start time of the deployment, or at least a child, is the same. If the journal says nothing, no
        process that may have been taken over can be ended.
        """
        if not self.processes or self.journal is None:
            return False
        if now is None or now.started_at == self.journal.started_at:
            return True
        return bool(self.units_taken_over(now))


def orphans(where: Place, host: Host | None = None) -> Orphans:
    """Orphans of a deployment without a supervisor, among those of `host`, else at this moment."""
    journal = read_journal(where.journal)
    return Orphans(survivors(journal, where, host), journal)


def agree_to_end(unclear: Sequence[Process], name: str) -> None:
    """Ask whether processes that no journal mentions may be ended. Raises NotUnderstood unless a person agrees."""
    refusal = NotUnderstood(name, [described(process.pid) for process in unclear])
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise refusal
    question = f"{refusal.what}:\n{refusal.detail}\nEnd them, and start {name} again?"
    if not _agrees(question):
        raise refusal


def _agrees(question: str) -> bool:
    import typer

    try:
        return typer.confirm(question, default=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
