"""Cleaning what a command inherits from its parent, before any module is imported that it could influence."""

import os
import sys

from dynkv.surroundings import NO_PLUGINS, of_command

TYPE_CHECKING = False  # mypy takes it as true; modules imported here could still come from anywhere
if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = __file__.rpartition("/dynkv/")[0] or "/"
"""The directory in which dynkv itself was found."""
_FOR_ITS_OWNER_ALONE = 0o077


def shed() -> None:
    """Import only from Python's installation, from dynkv's, and from the person's absolute paths from here on.

    If the environment says otherwise, the command is executed again in its place. Sets a umask that lets the owner use
    new files.
    """
    if not sys.flags.safe_path and sys.path[:1] in ([""], [_here()]) and sys.path[0] != _ROOT:
        del sys.path[0]  # put there by `python -m`
    environ = _with_whole_paths(os.environ)
    changed = {name for name, value in os.environ.items() if value and environ.get(name) != value}
    if sys.executable and changed - {"PATH"}:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)
    os.environ.clear()
    os.environ.update(environ | dict([NO_PLUGINS]))

    given = os.umask(_FOR_ITS_OWNER_ALONE)
    os.umask(given & _FOR_ITS_OWNER_ALONE)


def let_signals_come() -> None:
    """Unblock the signals that end a command, wake it or report a child's end; ignored ones stay ignored."""
    import signal

    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)


def finding_dynkv(environ: "Mapping[str, str]") -> dict[str, str]:
    """The environment for another interpreter, with dynkv's path if `python -m` found it in its working directory."""
    paths = [path for path in environ.get("PYTHONPATH", "").split(":") if path]
    if (root := root_for_others()) is None or root in paths:
        return dict(environ)
    return {**environ, "PYTHONPATH": ":".join([root, *paths])}


def end_as_by_ctrl_c() -> None:
    """Let signals that would end this command at once give it a chance to clean up."""
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def root_for_others() -> str | None:
    """The directory this command was started in, if another interpreter would not find dynkv otherwise."""
    return _ROOT if sys.path[:1] == [_ROOT] and _ROOT not in sys.path[1:] else None


def _with_whole_paths(environ: "Mapping[str, str]") -> dict[str, str]:
    """The environment with absolute paths for Python's library and dynkv, if they were found by relative ones."""
    whole = of_command(environ)
    if home := whole.get("PYTHONHOME"):
        whole["PYTHONHOME"] = ":".join(_whole(part) for part in home.split(":"))
    entries = environ["PYTHONPATH"].split(":") if environ.get("PYTHONPATH") else []
    relative = {_whole(entry) for entry in entries if not entry.startswith("/")}
    if _ROOT in relative and _ROOT not in entries:
        whole["PYTHONPATH"] = ":".join(filter(None, (_ROOT, whole.get("PYTHONPATH"))))
    return whole


def _whole(path: str) -> str:
    return os.path.normpath(os.path.join(_here(), path))


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # the directory was removed
        return "/"
