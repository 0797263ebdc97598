"""Which other people have processes on this host."""

from __future__ import annotations

import os
import subprocess

import pytest

from dynkv.host.described import other_people, user_name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(("uid", "is_told"), [(54321, True), (99, False), (65534, False)])
def test_people_are_told_and_system_accounts_are_not(uid: int, is_told: bool) -> None:
    with subprocess.Popen(["sleep", "100"], user=uid, group=uid, extra_groups=[]) as process:
        try:
            assert (user_name(uid) in other_people()) == is_told
        finally:
            process.kill()


def test_one_is_no_other() -> None:
    assert user_name(os.geteuid()) not in other_people()
