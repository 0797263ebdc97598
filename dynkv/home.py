"""Where dynkv keeps its files: DYNKV_HOME, with one directory for each deployment."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dynkv.errors import PreflightRefused, UsageError
from dynkv.locks import try_lock
from dynkv.owned import is_own_uid, not_own, open_own
from dynkv.short_paths import address, shortcut

_SOCKET_PATH_MAX = 100
"""Longest path of a socket in bytes. The limit is 107 (unix(7)); the rest is left to programs that append to it."""
_TMPDIR_MAX = 66
"""Longest TMPDIR in bytes: vLLM makes sockets in it whose names are UUIDs of 36 characters."""
_SCRATCH_NAME_MAX = 36
"""Longest directory name in bytes that still fits when the path begins with a shortcut."""
_NAME_MAX = 63
LOT = "_park"
"""The directory of what is parked, and its mark in an environment: no deployment can have this name."""
_FIRST, _FURTHER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789"), frozenset("._-")
"""Characters of a name: compiling a pattern takes longer than all that a quick verb does."""


def home() -> Path:
    """`$DYNKV_HOME`, else `dynkv` in the XDG state directory. Source: XDG Base Directory Specification 0.8.

    Raises UsageError for a relative path if there is no working directory, and if the home directory is unknown.
    """
    given = os.environ.get("DYNKV_HOME")
    if given:
        try:
            return _expanded(given).absolute()
        except FileNotFoundError:
            what = f"there is no working directory that DYNKV_HOME={given} could be relative to"
            raise UsageError(what, hint="set it to an absolute path") from None
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state and Path(state).is_absolute() else _expanded("~/.local/state")) / "dynkv"


def _expanded(path: str) -> Path:
    """Expand `~` and make the path absolute. Raises UsageError if the home directory that it names is unknown."""
    found = os.path.expanduser(path)
    if found.startswith("~"):
        what = f"nothing tells which directory {path.partition('/')[0]} is: no HOME, and no entry in the list of users"
        raise UsageError(what, hint="set DYNKV_HOME to the absolute path of a directory that you may write to")
    return Path(found)


class Place:
    """The directory of one deployment, and the paths in it.

    Written by hand: typing, dataclasses or a named tuple take longer to import than a quick verb has.
    """

    __slots__ = ("home", "name")

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and (self.home, self.name) == (other.home, other.name)

    def __hash__(self) -> int:
        return hash((self.home, self.name))

    @property
    def directory(self) -> Path:
        return self.home / self.name

    @property
    def journal(self) -> Path:
        return self.directory / "journal.json"

    @property
    def events(self) -> Path:
        return self.directory / "events.jsonl"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def supervisor_log(self) -> Path:
        return self.logs / "supervisor.log"

    @property
    def lock(self) -> Path:
        """The file that the supervisor locks for as long as it lives."""
        return self.directory / "lock"

    @property
    def socket(self) -> Path:
        """The socket that the supervisor listens on. The path may be too long to bind or connect to."""
        return self.directory / "control.sock"

    @property
    def needs_short_socket(self) -> bool:
        """Whether a plain client needs a shorter path than `socket`."""
        return len(os.fsencode(self.socket)) > _SOCKET_PATH_MAX

    @property
    def discovery(self) -> Path:
        """The directory that Dynamo's file discovery writes to."""
        return self.directory / "discovery"

    def scratch(self, unit: str) -> Path:
        """The unit's directory for temporary files, emptied when the unit ends."""
        return self.scratch_root / (unit if len(unit) <= _SCRATCH_NAME_MAX else _digest(unit))

    @property
    def requests(self) -> Path:
        """The file to which a recordable frontend writes its requests; removed with the rest of its scratch when it
        ends."""
        return self.scratch("frontend") / "requests.jsonl"

    @property
    def scratch_root(self) -> Path:
        return self.directory / "tmp"

    def own_tmpdir(self, unit: str) -> dict[str, str]:
        """Make `scratch` and return TMPDIR for the environment; empty if it cannot be made: the host's default will do.

        Programs make sockets in it, so the path is a short one where the host allows it.
        """
        directory = self.scratch(unit)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return {}
        return {"TMPDIR": str(self._short(directory))} if _is_no_link(directory) else {}

    def _short(self, path: Path) -> Path:
        if len(os.fsencode(path)) <= _TMPDIR_MAX:
            return path
        short = shortcut(self.directory)
        return path if short is None else short / path.relative_to(self.directory)

    def clear_tmpdir(self, unit: str) -> None:
        """Remove what the unit has left in its `scratch`, without following links."""
        import shutil

        if _is_no_link(directory := self.scratch(unit)):
            shutil.rmtree(directory, ignore_errors=True)

    def create(self) -> None:
        """Make the directory, for its owner only. Raises PreflightRefused if it cannot be written to."""
        try:
            for directory in (self.directory, self.logs):
                make_private(directory)
                _refuse_foreign(directory)
            self.directory.chmod(0o700)
            self._write_nothing()
        except OSError as error:
            raise PreflightRefused(
                f"cannot write to {self.home}: {error.strerror or error}",
                hint="set DYNKV_HOME to a directory that you may write to",
            ) from None
        self._refuse_without_sockets()
        if what := not_own(self.lock):
            raise PreflightRefused(f"cannot take the lock: {what}", where=str(self.lock), hint="remove what lies there")

    def _write_nothing(self) -> None:
        """Create a file and remove it. Raises OSError. Done without tempfile, whose import takes longer."""
        path = self.directory / f".probe-{os.getpid()}"
        path.unlink(missing_ok=True)  # left by a killed process with the same pid
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        path.unlink()

    def _refuse_without_sockets(self) -> None:
        """Raise PreflightRefused if sockets cannot be made here: not every network file system has them."""
        import socket

        path = self.directory / f".probe-{os.getpid()}"
        try:
            with socket.socket(socket.AF_UNIX) as probe, address(path) as short:
                probe.bind(short)
            path.unlink()
        except OSError as error:
            raise PreflightRefused(
                f"no socket can be made in {self.directory}: {error.strerror or error}",
                hint="set DYNKV_HOME to a directory on a disk of this host",
            ) from None

    def has_supervisor(self) -> bool:
        """Whether a supervisor holds the lock, as each does while it lives, unless the file has just been removed."""
        try:
            fd = open_own(self.lock, os.O_RDWR)
        except OSError:
            return False
        try:
            return not try_lock(fd, self.lock)
        finally:
            os.close(fd)


def place(home_dir: Path, name: str) -> Place:
    """The place of the deployment. Raises UsageError for a name that cannot be a directory's."""
    if not is_name(name):
        raise UsageError(
            f"{name!r} cannot be the name of a deployment",
            hint="use up to 63 of a-z, 0-9, dot, dash, underscore; a letter or digit first: --name my-stack",
        )
    return Place(home_dir, name)


def _refuse_foreign(directory: Path) -> None:
    """Raise PreflightRefused if another user owns the directory, for root too."""
    owner = directory.stat().st_uid
    if not is_own_uid(owner):
        raise PreflightRefused(
            f"{directory} belongs to uid {owner}",
            hint="run dynkv as that user, or set DYNKV_HOME to a directory of your own",
        )


def make_private(directory: Path) -> None:
    """Make the directory and its missing parents private: whoever may write to one could rename the next."""
    given = os.umask(0o077)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(given)


def is_name(name: str) -> bool:
    """Whether a deployment may have this name."""
    return 0 < len(name) <= _NAME_MAX and name[0] in _FIRST and {*name} <= _FIRST | _FURTHER


def deployments(home_dir: Path) -> list[str]:
    """Names of all deployments of this user that have had a supervisor, running or not."""
    if not os.path.isdir(home_dir) or not os.access(home_dir, os.R_OK | os.X_OK):
        return []
    traces = ("journal.json", "lock")
    had_one = (d for d in home_dir.iterdir() if any(os.path.lexists(d / trace) for trace in traces))
    return sorted(directory.name for directory in had_one if is_name(directory.name) and _is_own(directory))


def _is_own(directory: Path) -> bool:
    """Whether this user owns the directory, or both the link and the directory it leads to."""
    try:
        return is_own_uid(directory.lstat().st_uid) and is_own_uid(directory.stat().st_uid)
    except OSError:
        return False


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same place, whatever links are on the way."""
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def is_own_directory(path: Path) -> bool:
    """Whether the path is a directory that this user owns and not a link: others can put anything into /tmp."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _digest(unit: str) -> str:
    import hashlib

    return hashlib.sha256(unit.encode()).hexdigest()[:16]


def _is_no_link(scratch: Path) -> bool:
    return is_own_directory(scratch.parent) and is_own_directory(scratch)
