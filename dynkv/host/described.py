"""The description of a process for people: the same words everywhere, without the secrets in its arguments."""

from __future__ import annotations

import os
import pwd
from functools import cache

from dynkv.host.processes import command_line, effective_user, pids, read_process
from dynkv.secrets import masked

_COMMAND_MAX = 60
_LOOKED_AT_BYTES = 4096
_UID_MIN, _NOBODY = 1000, 65534


def described(pid: int) -> str:
    """A description such as `pid 4711 (python -m http.server, alice)`, or that it is gone or hidden by /proc."""
    process, uid = read_process(pid), effective_user(pid)
    if process is None and uid is None:
        return f"pid {pid} ({'hidden' if _exists(pid) else 'gone, or of another container'})"
    name = process.name if process is not None else "hidden"
    command = masked(command_line(pid, _LOOKED_AT_BYTES).replace(b"\0", b" ").decode(errors="replace"))
    words = [_shortened(_plain(command) or _plain(name)), *([] if uid is None else [user_name(uid)])]
    return f"pid {pid} ({', '.join(words)})"


@cache
def user_name(uid: int) -> str:
    """The user's name on this host."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"uid {uid}"


def other_people() -> tuple[str, ...]:
    """Names of other people, not system accounts, who have processes here. Source: login.defs(5), UID_MIN."""
    uids = {uid for pid in pids() if (uid := effective_user(pid)) is not None}
    return tuple(sorted(user_name(uid) for uid in uids - {os.geteuid(), _NOBODY} if uid >= _UID_MIN))


def _plain(text: str) -> str:
    """The text on one line, without characters that act on a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _shortened(text: str) -> str:
    return text if len(text) <= _COMMAND_MAX else f"{text[: _COMMAND_MAX - 1]}…"


def _exists(pid: int) -> bool:
    """Whether it exists although /proc does not show it. Source: kill(2), signal 0."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
