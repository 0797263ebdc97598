"""One start at a time on a GPU."""

from __future__ import annotations

import anyio
import pytest

from dynkv.supervisor.turns import Turns

pytestmark = pytest.mark.anyio


async def is_free(turns: Turns, *gpus: str) -> bool:
    """Whether a turn is free; it is taken and given back."""
    with anyio.move_on_after(0.05):
        (await turns.take(gpus)).release()
        return True
    return False


async def test_a_gpu_is_in_one_turn_only_and_others_are_free() -> None:
    turns = Turns()
    turn = await turns.take(["0", "1"])
    assert [await is_free(turns, gpu) for gpu in "012"] == [False, False, True]
    turn.release()
    assert await is_free(turns, "0", "1", "2")


async def test_releasing_twice_gives_back_once() -> None:
    turns = Turns()
    first = await turns.take(["0"])
    first.release()
    second = await turns.take(["0"])
    first.release()
    assert not await is_free(turns, "0")
    second.release()
    assert await is_free(turns, "0")


async def test_without_gpus_nobody_waits() -> None:
    turns = Turns()
    await turns.take([])
    assert await is_free(turns)


async def test_naming_a_gpu_twice_is_naming_it_once() -> None:
    with anyio.fail_after(1):
        await Turns().take(["0", "0"])


async def test_who_is_cancelled_while_it_waits_holds_nothing() -> None:
    turns = Turns()
    held = await turns.take(["1"])
    with anyio.move_on_after(0.01) as scope:
        await turns.take(["0", "1", "2"])
    assert scope.cancelled_caught
    assert [await is_free(turns, gpu) for gpu in "012"] == [True, False, True]
    held.release()
    assert await is_free(turns, "0", "1", "2")


async def test_two_that_name_the_same_gpus_in_other_order_never_wait_in_a_circle() -> None:
    turns, inside, most = Turns(), 0, 0

    async def work(*gpus: str) -> None:
        nonlocal inside, most
        for _ in range(50):
            turn = await turns.take(gpus)
            inside += 1
            most = max(most, inside)
            await anyio.lowlevel.checkpoint()
            inside -= 1
            turn.release()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, "0", "1")
            tasks.start_soon(work, "1", "0")
            tasks.start_soon(work, "1")
    assert most == 1


async def test_what_starts_already_has_the_turns_that_are_free_and_waits_for_none() -> None:
    turns = Turns()
    other = await turns.take(["0"])
    starting = turns.take_free(["0", "1"])
    with anyio.move_on_after(0.05) as waiting:
        await turns.take(["1"])
    assert waiting.cancelled_caught, "it has the turn on 1"
    starting.release()
    with anyio.fail_after(5):
        (await turns.take(["1"])).release()
    other.release()
    with anyio.fail_after(5):
        await turns.take(["0"])
