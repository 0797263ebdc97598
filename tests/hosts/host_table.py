"""One table of real hosts: how to put a command on each, and what dynkv does there.

Read by the tests, which run every verb on every host, by `surround.py`, which puts a command there, and by the
documentation.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from refusing import FLOCK, MEMFD_CREATE, PIDFD_OPEN, PRCTL, SENDFILE, refuse

SERVED_UID, LIMITED_UID = 54321, 54322
"""Users without an entry in the list of users; the processes of the second are limited in number."""
SERVED = "it is supported like any other"
_MIB = 1024**2
_ALL_SIGNALS = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}


def as_user(uid: int) -> tuple[str, ...]:
    """A command that runs another as that user."""
    return ("setpriv", "--reuid", f"{uid}", "--regid", f"{uid}", "--clear-groups")


AS_NOBODY = as_user(SERVED_UID)


@dataclass(frozen=True)
class Host:
    title: str
    does: str = SERVED
    """What dynkv does there, in words."""
    surround: Callable[[], object] = lambda: None
    """Called in the process of the verb before it starts."""
    environ: Mapping[str, str | None] = field(default_factory=dict)
    """Variables; None unsets one."""
    is_bare: bool = False
    """Whether the environment is empty except for DYNKV_HOME and the variables that find dynkv."""
    before: tuple[str, ...] = ()
    """A command that runs the verb; only root can run it."""
    lives_in: tuple[str, ...] = ()
    """A command that runs `sleep` in its own namespaces, in which all verbs run; only root can run it."""
    refused: str = ""
    """Part of what `up` says if it refuses."""
    home: str = "state"
    """The DYNKV_HOME, relative to the directory of the test."""
    directory: str = ""
    """The working directory, relative to it."""

    @property
    def needs_root(self) -> bool:
        return bool(self.before or self.lives_in)


def mounting(script: str, *then: str) -> tuple[str, ...]:
    """A command that runs another in its own mount namespace, after `script`."""
    return ("unshare", "--mount", "sh", "-c", f'{script} && exec "$@"', "-", *then)


def _with_signals_blocked_and_ignored() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def _limited(which: int, to: int) -> Callable[[], None]:
    return partial(resource.setrlimit, which, (to, to))


HOSTS = [
    Host("an ordinary host"),
    # the kernel
    Host("no memfd_create", "the plan is passed in an unnamed file", partial(refuse, MEMFD_CREATE)),
    Host("no sendfile", "logs are copied by other means", partial(refuse, SENDFILE)),
    Host("no pidfd_open", "`up` refuses: it could not watch a process", partial(refuse, PIDFD_OPEN), refused="pidfd"),
    Host(
        "no prctl",
        "`up` refuses: what leaves its parent could not be found again",
        partial(refuse, PRCTL, why=errno.EPERM),
        refused="subreaper",
    ),
    # disks
    Host(
        "a disk without locks (ENOSYS)",
        "`up` refuses: nothing would keep two supervisors apart",
        partial(refuse, FLOCK),
        refused="files on this disk cannot be locked",
    ),
    Host(
        "a disk without locks (ENOLCK), as NFS without its lock daemon",
        "`up` refuses: nothing would keep two supervisors apart",
        partial(refuse, FLOCK, why=errno.ENOLCK),
        refused="files on this disk cannot be locked",
    ),
    Host(
        "a read-only DYNKV_HOME",
        "`up` refuses, and names the directory",
        before=mounting('mount -t tmpfs -o ro tmpfs "$DYNKV_HOME"'),
        refused="cannot write to",
    ),
    Host(
        "a full disk",
        "`up` refuses, and says how much is free",
        before=mounting('mount -t tmpfs -o size=64k tmpfs "$DYNKV_HOME" && ! cat /dev/zero >"$DYNKV_HOME/x" 2>&-'),
        refused="0 MB are free on the disk",
    ),
    Host(
        "a disk with little room",
        "`up` refuses, and says how much is free",
        before=mounting('mount -t tmpfs -o size=8m tmpfs "$DYNKV_HOME"'),
        refused="are free",
    ),
    Host(
        "a DYNKV_HOME on a disk mounted noexec",
        before=mounting('mount --bind "$DYNKV_HOME" "$DYNKV_HOME" && mount -o remount,bind,noexec "$DYNKV_HOME"'),
    ),
    Host(
        "no writable temporary directory",
        "it is supported: temporary files go into DYNKV_HOME",
        before=mounting("for d in /tmp /var/tmp /dev/shm; do mount --bind $d $d && mount -o remount,bind,ro $d; done"),
    ),
    Host("a /dev/shm of 64 KiB", before=mounting("mount -t tmpfs -o size=64k tmpfs /dev/shm")),
    Host("no /dev/shm", before=mounting("mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3")),
    Host("a home that is a symbolic link", "it is supported, by either path", home="link"),
    Host("a home whose name is not UTF-8", "it is supported; documents show the byte as `\\udce9`", home="caf\udce9"),
    Host("a working directory whose name is not UTF-8", directory="caf\udce9"),
    # users and their surroundings
    Host("a user without an entry in the list of users", "it is supported", environ={"HOME": None}, before=AS_NOBODY),
    Host(
        "such a user, and no DYNKV_HOME",
        "`up` refuses: nothing tells where to keep what it writes",
        environ={"HOME": None, "DYNKV_HOME": None, "XDG_STATE_HOME": None},
        before=AS_NOBODY,
        refused="nothing tells which directory ~ is",
    ),
    Host("HOME and TMPDIR that do not exist", environ={"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}),
    Host("the runtime directory of a login that has ended", environ={"XDG_RUNTIME_DIR": "/run/user/99999"}),
    Host("an empty environment, as with `env -i`", is_bare=True),
    Host("variables whose values are not UTF-8", environ={"HF_HOME": "/data/caf\udce9", "LC_X\udce9": "\udcff"}),
    Host("a locale that is not installed", environ={"LC_ALL": "xx_YY.UTF-8", "LANG": "xx_YY"}),
    Host("the locale of C, and a terminal without a name", environ={"LC_ALL": "C", "TERM": None}),
    Host("a time zone that does not exist", environ={"TZ": "Nowhere/Else"}),
    Host(
        "variables that change how Python runs",
        environ={"PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    ),
    Host("all signals blocked, and those that end a program ignored", surround=_with_signals_blocked_and_ignored),
    Host("no standard input", surround=partial(os.close, 0)),
    Host("a umask that keeps the owner out", surround=partial(os.umask, 0o777)),
    # limits
    Host("64 open files", surround=_limited(resource.RLIMIT_NOFILE, 64)),
    Host("no core files, 8 MiB of locked memory", surround=_limited(resource.RLIMIT_MEMLOCK, 8 * _MIB)),
    Host(
        "files of at most 0 bytes",
        "`up` refuses: the plan cannot be handed over",
        _limited(resource.RLIMIT_FSIZE, 0),
        refused="File too large",
    ),
    Host(
        "one process for each user",
        "`up` refuses: no supervisor can be started",
        _limited(resource.RLIMIT_NPROC, 1),
        environ={"HOME": None},
        before=as_user(LIMITED_UID),
        refused="Resource temporarily unavailable",
    ),
    Host("1 GiB of address space", surround=_limited(resource.RLIMIT_AS, 1024 * _MIB)),
    # containers
    Host(
        "a /proc that hides other users' processes",
        before=(*mounting("mount -t proc -o hidepid=2 proc /proc"), *AS_NOBODY),
    ),
    Host(
        "a /proc with processes only",
        "`up` refuses: the host cannot be looked at",
        before=mounting("mount -t proc -o subset=pid proc /proc"),
        refused="/proc is incomplete",
    ),
    Host(
        "a container whose first process is not an init",
        lives_in=("unshare", "--pid", "--mount", "--fork", "--mount-proc"),
    ),
    Host("a user namespace, as rootless containers have", before=("unshare", "--user", "--map-root-user")),
    Host(
        "no network, not even loopback",
        "it is supported with `topology: none`; the stack needs loopback",
        before=("unshare", "--net"),
    ),
]
