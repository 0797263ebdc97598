"""A host on which pidfds are refused, with real seccomp filters."""

from __future__ import annotations

import errno

import pytest
from apart import PIDFD_OPEN, PIDFD_SEND_SIGNAL, told, without

from dynkv.host.pidfd import pidfd_problem

ASK = "import json; from dynkv.host.pidfd import pidfd_problem; print(json.dumps(pidfd_problem()))"
ASK_WITHOUT_DESCRIPTORS = f"""
import json, os, resource
from dynkv.host import pidfd
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
taken = []
while True:
    try:
        taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
{ASK}
"""


def test_here_it_can_be_had() -> None:
    assert pidfd_problem() is None


@pytest.mark.parametrize(
    ("call", "number", "said"),
    [
        (PIDFD_OPEN, errno.ENOSYS, "the kernel has no pidfd_open, or a seccomp filter hides it"),
        (PIDFD_SEND_SIGNAL, errno.ENOSYS, "the kernel has no pidfd_send_signal, or a seccomp filter hides it"),
        (
            PIDFD_OPEN,
            errno.EPERM,
            "pidfd_open is refused (Operation not permitted), as by the seccomp filter of a container",
        ),
        (
            PIDFD_SEND_SIGNAL,
            errno.EACCES,
            "pidfd_send_signal is refused (Permission denied), as by the seccomp filter of a container",
        ),
    ],
)
def test_what_is_refused_is_said(call: int, number: int, said: str) -> None:
    assert told(ASK, under=without(call, number)) == said


def test_having_no_descriptor_left_is_no_fact_of_the_host() -> None:
    assert told(ASK_WITHOUT_DESCRIPTORS) is None
