"""The steps of one unit's life, taken one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from dynkv.children.child import Child
from dynkv.children.stop import Stopped, kill_tree, stop
from dynkv.children.tree import Host, tree_of
from dynkv.plan.model import Unit
from dynkv.reclaim.sidecar import Registrations
from dynkv.supervisor import admission, incarnation
from dynkv.supervisor.aftermath import bury, give_back, let_go, purge_discovery
from dynkv.supervisor.boundary import described, tell_fault
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.incarnation import Incarnation
from dynkv.supervisor.journal import ChildRecord
from dynkv.supervisor.life import Life
from dynkv.supervisor.moments import utc_now
from dynkv.supervisor.peers import Nobody, Peers
from dynkv.supervisor.restart import backoff_s
from dynkv.supervisor.salvage import registrations_of
from dynkv.supervisor.slot import Slot
from dynkv.supervisor.states import State, way_on
from dynkv.supervisor.status import LastExit
from dynkv.supervisor.survivors import root_of
from dynkv.supervisor.turns import Turn
from dynkv.supervisor.verdict import Ending, birth_fault, died_by_itself, in_words, standby_fault, stop_deadline_s

_AFTER_FAULT_S = 1.0
_FAULT = "a fault in dynkv"


class Runner:
    """Runs one unit. Others send it requests (`ask`) and read the board."""

    def __init__(self, life: Life, adopted: ChildRecord | None = None, peers: Peers | None = None) -> None:
        self._life = life
        self._slot = Slot(life)
        self._peers: Peers = peers or Nobody()
        self._standby = life.shared.standby_of(life.unit)
        self._adopted = adopted
        self._was_ready = adopted is not None
        # an adopted process may still be starting, so it takes its turn before anyone else can
        self._turn = life.shared.turns.take_free(life.unit.gpus) if adopted else Turn()
        self._incarnation: Incarnation | None = None
        self.deaths: list[float] = []  # by anyio's clock
        self._is_hopeless = False
        self._starts_plainly = False

    @property
    def unit(self) -> Unit:
        return self._life.unit

    @property
    def child(self) -> Child | None:
        """The child of the current incarnation."""
        return self._incarnation.child if self._incarnation else None

    @property
    def has_been_ready(self) -> bool:
        """Whether it has been ready, in this incarnation or an earlier one."""
        return self._was_ready or (self._incarnation is not None and self._incarnation.first_ready.is_set())

    @property
    def registrations(self) -> Registrations:
        """The ids under which the living incarnation has registered itself at the sidecar."""
        return self._incarnation.registrations if self._incarnation else frozenset()

    def ask(self, request: Request) -> None:
        """Request something; the newest request counts, and a repeated one has no effect."""
        self._slot.put(request)

    async def run(self) -> None:
        """Run until cancelled. Each step leaves the unit in the state of the next one."""
        steps: dict[State, Callable[[], Awaitable[None]]] = {
            State.PENDING: self._wait_for_admission,
            State.STARTING: self._live,
            State.BACKOFF: self._back_off,
            **dict.fromkeys((State.STOPPED, State.FAILED, State.COMPLETED), self._rest),
        }
        while True:
            try:
                await steps[self._life.state]()
            except Exception as error:  # noqa: BLE001 (a fault in one unit's care must not end the others')
                await self._outlive(error)

    # --- the steps, in the order of a life ---

    async def _wait_for_admission(self) -> None:
        if self._adopted is not None:
            self._life.go(State.STARTING, "an earlier supervisor's child is taken over")
        elif await self._slot.unless_asked(self._be_admitted):
            self._life.go(State.STARTING, admission.start_cause(self._life))
        else:
            self._answer_without_child()

    async def _be_admitted(self) -> None:
        self._life.renew()
        standby = None if self._starts_plainly else self._standby
        await admission.dependencies(self._life, standby)
        if standby is not None:
            self._starts_plainly = not await admission.imports(self._life, standby)
        self._turn = await admission.turn_with_memory(self._life, self._peers)

    async def _live(self) -> None:
        """Follow the process from its start until nothing of it is left."""
        record, self._adopted = self._adopted, None
        started = await self._start() if record is None else await self._take_over(record)
        if started is None:
            return
        self._incarnation = started
        started.introduce()
        async with anyio.create_task_group() as watching:
            watching.start_soon(started.child.watch)
            ending = await started.serve(self._slot)
            stopped = await self._end(started, ending)
            watching.cancel_scope.cancel()
        self._was_ready = self._was_ready or started.first_ready.is_set()
        started.learn_registrations()
        await self._clear_up(started, ending, stopped)

    async def _back_off(self) -> None:
        if self._is_hopeless:
            self._life.go(State.FAILED, "starting it again cannot help")
            return
        policy = self.unit.restart
        delay = backoff_s(policy, self.deaths, anyio.current_time())
        if delay is None:
            spent = f"{policy.max_restarts} restarts within {policy.window_s:g} s are used up"
            self._life.go(State.FAILED, spent)
            return
        self._life.wait_for(f"backoff of {delay:g} s" if delay else None)
        if await self._slot.unless_asked(lambda: anyio.sleep(delay)):
            self._start_again(f"after {delay:g} s of backoff" if delay else "at once: its first death in a while")
        else:
            self._answer_without_child()

    async def _rest(self) -> None:
        await self._slot.asked()
        request = self._slot.take()
        if request is not None and request.is_stop and self._life.state is State.FAILED and not request.final:
            self._stop_nothing(request.cause)
        elif request is not None and not request.is_stop:
            self.deaths.clear()
            self._is_hopeless = False
            self._life.go(State.PENDING, request.cause)

    # --- one incarnation ---

    async def _start(self) -> Incarnation | None:
        """Start a process; None if that failed, and the unit is then on its way to the next attempt."""
        standby = None if self._starts_plainly else self._standby
        self._starts_plainly = False
        try:
            return await incarnation.start(self._life, self._turn, standby)
        except (OSError, ValueError) as error:
            self._turn.release()
            self._die_at_birth(error)
            return None

    async def _take_over(self, record: ChildRecord) -> Incarnation | None:
        """Take over a process; None if it has died by now, although its descendants may live."""
        if (taken := incarnation.take_over(self._life, record, self._turn)) is not None:
            return taken
        cause = f"pid {record.pid} died before it could be taken over"
        self._life.go(State.RECYCLING, cause)
        let_go(self._life, self._turn)
        await kill_tree(lambda: tree_of(root_of(record), Host.now()))
        self._life.go(State.RECLAIMING, cause)
        is_worker, place = self.unit.role.is_worker, self._life.shared.place
        await self._give_back(registrations_of(self.unit.name, record, place) if is_worker else frozenset())
        self.deaths.append(anyio.current_time())
        self._life.go(State.BACKOFF, cause)
        return None

    async def _end(self, ended: Incarnation, ending: Ending) -> Stopped:
        """End what is left of a dead incarnation, or all of one that must go."""
        let_go(self._life, ended.turn)
        if not ending.is_stop and not ending.follows:
            self._peers.restart_followers(self.unit.name)
        stopped = await stop(ended.child, stop_deadline_s(self.unit, ending, has_exited=ended.child.exited.is_set()))
        purge_discovery(self._life)  # once more: on a busy host its sockets may close after it has ended
        return stopped

    async def _clear_up(self, ended: Incarnation, ending: Ending, stopped: Stopped) -> None:
        if ending.request is None and self._blames_standby(ended, ending.cause):
            self._starts_plainly = True
            request = Request(Ask.RESTART, "it starts again without the standby")
            await self._make_room(ended, Ending(ending.cause, request), stopped)
            return
        self._note_exit(ended, ending)
        if ending.is_stop:
            await self._reclaim(ended, final=ending.is_final)
            words = in_words(stopped, self.unit, ending)
            self._life.go(State.STOPPED, words, killed=stopped.killed, left=list(stopped.left))
        else:
            await self._make_room(ended, ending, stopped)

    async def _make_room(self, ended: Incarnation, ending: Ending, stopped: Stopped) -> None:
        """Clean up for the next incarnation; a requested restart neither waits nor uses up the budget."""
        words = in_words(stopped, self.unit, ending)
        self._life.go(State.RECLAIMING, words, killed=stopped.killed, left=list(stopped.left))
        await self._reclaim(ended)
        if ended.has_completed(ending):
            self._life.go(State.COMPLETED, ending.cause)
        elif ending.request is None:
            self.deaths.append(anyio.current_time())
            self._life.go(State.BACKOFF, ending.cause)
        else:
            self._life.go(State.BACKOFF, ending.request.cause)
            self._start_again(ending.request.cause)

    async def _reclaim(self, ended: Incarnation, *, final: bool = False) -> None:
        self._incarnation = None
        bury(self._life, ended.child, ended.started_at)
        await self._give_back(ended.registrations, final=final)

    async def _give_back(self, dead: Registrations, *, final: bool = False) -> None:
        for sidecar, why in (await give_back(self._life, dead, final=final)).items():
            self._peers.restart_sidecar(sidecar, why)

    async def _outlive(self, fault: Exception) -> None:
        """Treat a fault in dynkv as a death: end and give back what exists of the unit.

        So a fault that keeps recurring leads to the same end as any other death that occurs too often.
        """
        self._tell(fault)
        ended, self._incarnation = self._incarnation, None
        try:
            let_go(self._life, self._turn)
            if ended is not None:
                self._was_ready = self._was_ready or ended.first_ready.is_set()
                await kill_tree(ended.child.tree)
                bury(self._life, ended.child, ended.started_at)
            await self._give_back(ended.registrations if ended else frozenset())
        except Exception as another:  # noqa: BLE001 (what could not be cleared up must not keep the rest from it)
            self._tell(another)
            self._life.part_with_child()
        self.deaths.append(anyio.current_time())
        for state in way_on(self._life.state):
            self._life.go(state, _FAULT)
        await anyio.sleep(_AFTER_FAULT_S)

    def _tell(self, fault: Exception) -> None:
        words = described(fault)
        tell_fault(self._life.shared.events, words, fault, self.unit.name)
        hint = "`dynkv events --json --kind fault` has the details"
        self._life.publish(last_exit=LastExit(None, None, f"{_FAULT}: {words}", hint, utc_now()))

    def _start_again(self, cause: str) -> None:
        self._life.publish(restarts=self._life.status.restarts + 1)
        self._life.go(State.PENDING, cause)

    def _answer_without_child(self) -> None:
        self._turn.release()
        request = self._slot.take()  # None if it was taken back meanwhile
        if request is not None and request.is_stop:
            self._stop_nothing(request.cause)
        elif request is not None and self._life.state is State.BACKOFF:
            self._life.go(State.PENDING, request.cause)

    def _stop_nothing(self, cause: str) -> None:
        self._life.go(State.STOPPING, cause)
        self._life.go(State.STOPPED, "nothing of it was running")

    def _note_exit(self, ended: Incarnation, ending: Ending) -> None:
        found = ended.verdict(ending)
        last = found.last_exit
        self._is_hopeless = found.permanent and not ended.first_ready.is_set()
        self._life.publish(last_exit=last)
        self._life.event(EventKind.EXIT, last.reason, cause=last.hint, code=last.code, signal=last.signal)

    def _blames_standby(self, ended: Incarnation, cause: str) -> bool:
        """Whether it may have died because it was forked; that counts against the standby, and not against the unit."""
        if self._standby is None or not ended.is_from_standby or ended.first_ready.is_set():
            return False
        reason = standby_fault(cause, ended.exit, ended.last_lines())
        if reason is None:
            return False
        self._life.event(EventKind.STANDBY, "died before it was ready, after a start from the standby", cause=reason)
        if died_by_itself(cause, ended.exit):
            self._standby.blame()
        return True

    def _die_at_birth(self, error: OSError | ValueError) -> None:
        reason, hint = birth_fault(self.unit, error)
        self._life.publish(last_exit=LastExit(None, None, reason, hint, utc_now()))
        self.deaths.append(anyio.current_time())
        self._life.go(State.RECYCLING, reason)
        self._life.go(State.RECLAIMING, "nothing was started")
        self._life.go(State.BACKOFF, reason)
