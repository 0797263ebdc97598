"""Any history of a unit, with real processes: crashes, hangs, requests, and supervisors that die and have successors.

There are never two living incarnations, no other process is signalled, and ready and stopped can always be reached;
when stopped, nothing is left.
"""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import anyio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lab import FAST, SERVER, Lab
from msgspec.structs import replace
from processes import is_alive

from dynkv.children.child import Child
from dynkv.children.marks import MARK_INCARNATION
from dynkv.children.stop import kill_tree
from dynkv.children.tree import Host, marked
from dynkv.host.processes import environment_of
from dynkv.plan.model import HttpGet, Liveness, Unit
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.life import Life, Shared
from dynkv.supervisor.runner import Runner
from dynkv.supervisor.salvage import adoptable, end_all_but
from dynkv.supervisor.states import State

FAMILY = f"import os, signal\nif os.fork() == 0:\n    os.setsid()\n    signal.pause()\n{SERVER}"
"""A server whose child leaves its session."""
STEPS = ("kill", "kill child", "suspend", "sick", "well", "start", "stop", "restart", "supervisor dies", "wait")
DEADLINE_S = 30.0
UNTIRING = replace(FAST, max_restarts=1000)


class History:
    """One unit and its supervisors, of whom only the last one lives."""

    def __init__(self, lab: Lab, last: Ask) -> None:
        """`last`: the request at the end that should make it run."""
        self.last = last
        liveness = Liveness(HttpGet(1, "/metrics"), period_seconds=0.05, timeout_seconds=0.5, failure_threshold=3)
        # a start has no effect on a running unit, so it runs in the end only if its restarts are not used up
        unit = lab.unit(stop_timeout_s=0.5, restart=UNTIRING if last is Ask.START else FAST)
        check = HttpGet(unit.ports["system"], "/metrics")
        probes = replace(unit.probes, liveness=replace(liveness, check=check))
        self.unit: Unit = replace(unit, probes=probes, argv=(*unit.argv[:3], FAMILY, *unit.argv[4:]))
        self.lab = lab
        self.plan = lab.plan(self.unit)
        self.shared: Shared = lab.shared(self.plan)
        self.runner = Runner(Life(self.unit, self.shared))
        self.spawned: dict[int, Child] = {}

    @property
    def state(self) -> State:
        return self.shared.board[self.unit.name].state

    async def live(self, steps: list[tuple[str, float]]) -> None:
        while True:
            async with anyio.create_task_group() as supervisor:
                supervisor.start_soon(self.runner.run)
                while steps and (step := steps.pop(0))[0] != "supervisor dies":
                    self.take(step[0])
                    await anyio.sleep(step[1])
                    self.check()
                if not steps:
                    await self.end_well()
                self.remember()
                supervisor.cancel_scope.cancel()
            if not steps:
                return
            journal = self.shared.journal.content
            adopted = adoptable(journal, self.plan, self.lab.place)
            await end_all_but(adopted.values(), journal, self.lab.place)
            self.reap_the_dead()
            self.runner = Runner(Life(self.unit, self.shared), adopted.get(self.unit.name))

    def take(self, step: str) -> None:
        self.remember()
        tree = self.runner.child.tree() if self.runner.child is not None else []
        numbers = {"kill": signal.SIGKILL, "kill child": signal.SIGKILL, "suspend": signal.SIGSTOP}
        if step in numbers and tree:
            with suppress(ProcessLookupError):
                os.kill(tree[-1 if step == "kill child" else 0].pid, numbers[step])
        elif step in ("sick", "well"):
            self.lab.set_sick(self.unit.name, step == "sick")
        elif step in ("start", "stop", "restart"):
            self.runner.ask(Request(Ask(step), "test"))

    def check(self) -> None:
        living = marked(Host.now(), str(self.lab.directory), self.lab.name)
        incarnations = {(environment_of(process.pid) or {}).get(MARK_INCARNATION) for process in living} - {None}
        assert len(incarnations) <= 1, f"{incarnations} in {self.state}"

    async def end_well(self) -> None:
        """Each request is made once and must take effect by itself."""
        self.lab.set_sick(self.unit.name, False)
        for ask, state in ((self.last, State.READY), (Ask.STOP, State.STOPPED)):
            before = self.pid
            self.runner.ask(Request(ask, "test"))
            with anyio.fail_after(DEADLINE_S):
                while self.state is not state or (ask is Ask.RESTART and self.pid == before):
                    await anyio.sleep(0.02)
                    self.check()
        assert marked(Host.now(), str(self.lab.directory), self.lab.name) == []

    @property
    def pid(self) -> int | None:
        return self.shared.board[self.unit.name].pid

    def remember(self) -> None:
        """Here the next supervisor is the same process, and the parent of what the previous one spawned."""
        if (child := self.runner.child) is not None:
            self.spawned.setdefault(child.pid, child)

    def reap_the_dead(self) -> None:
        for child in self.spawned.values():
            if not is_alive(child.pid):
                child.reap()


@settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from([0.0, 0.02, 0.1, 0.4])), max_size=8),
    st.sampled_from([Ask.START, Ask.RESTART]),
)
def test_every_history_ends_well(steps: list[tuple[str, float]], last: Ask) -> None:
    async def play() -> None:
        with tempfile.TemporaryDirectory(prefix="dynkv-", dir="/tmp") as directory:
            history = History(Lab(Path(directory)), last)
            bystander = Child.spawn(["sleep", "60"], {"PATH": os.environ["PATH"]}, Path(directory) / "bystander.log")
            try:
                await history.live(list(steps))
                assert is_alive(bystander.pid)
            finally:  # whatever happened, none of its processes survives
                await kill_tree(lambda: marked(Host.now(), directory, history.lab.name))
                history.reap_the_dead()
                os.kill(bystander.pid, signal.SIGKILL)
                bystander.reap()

    anyio.run(play)
