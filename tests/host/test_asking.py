"""Questions that may never be answered."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import anyio
import pytest

from dynkv.host.asking import Questions

pytestmark = pytest.mark.anyio


async def test_an_answer_and_a_failure_come_back() -> None:
    questions = Questions()
    assert await questions.ask(lambda: 7, 20) == 7

    def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await questions.ask(fail, 20)


async def test_one_that_does_not_answer_is_left_alone_and_keeps_others_from_asking_until_it_does() -> None:
    questions, answer = Questions(), threading.Event()
    try:
        for question in (lambda: answer.wait(60), lambda: True):
            with pytest.raises(TimeoutError):
                await questions.ask(question, 0.05)
        assert [it.name for it in threading.enumerate()].count("question") == 1
    finally:
        answer.set()
    assert await questions.ask(lambda: True, 20)


async def test_many_ask_one_after_the_other() -> None:
    questions, at_once = Questions(), set[int]()

    def look(number: int) -> int:
        time.sleep(0.005)  # NVML needs some time, too
        at_once.add([it.name for it in threading.enumerate()].count("question"))
        return number

    found: list[int] = []

    async def ask(number: int) -> None:
        found.append(await questions.ask(lambda: look(number), 60))

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)
    assert sorted(found) == [*range(10)]
    assert at_once == {1}


async def test_a_process_that_still_waits_for_an_answer_can_end() -> None:
    script = """
import threading, anyio
from dynkv.host.asking import Questions
async def main():
    try:
        await Questions().ask(threading.Event().wait, 0.05)
    except TimeoutError:
        print("no answer")
anyio.run(main)
"""
    done = await anyio.run_process([sys.executable, "-c", script], stderr=subprocess.PIPE)
    assert done.stdout == b"no answer\n", done.stderr
