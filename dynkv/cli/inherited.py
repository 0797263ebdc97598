"""What a command has from whoever started it, put right before anything is imported that might come from there."""

import os
import sys

from dynkv.surroundings import NO_PLUGINS, of_command

TYPE_CHECKING = False  # mypy takes it as true; what is imported here could still come from anywhere
if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = __file__.rpartition("/dynkv/")[0] or "/"
"""Where dynkv itself was found."""
_FOR_ITS_OWNER_ALONE = 0o077


def shed() -> None:
    """From here on modules come from Python's installation, dynkv's, and where the person's absolute paths lead.

    With an environment that says otherwise the command begins anew, in its place. What it makes its owner can use.
    """
    if not sys.flags.safe_path and sys.path[:1] in ([""], [_here()]) and sys.path[0] != _ROOT:
        del sys.path[0]  # `python -m` has put it there
    environ = _with_whole_paths(os.environ)
    changed = {name for name, value in os.environ.items() if value and environ.get(name) != value}
    if sys.executable and changed - {"PATH"}:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)
    os.environ.clear()
    os.environ.update(environ | dict([NO_PLUGINS]))

    given = os.umask(_FOR_ITS_OWNER_ALONE)
    os.umask(given & _FOR_ITS_OWNER_ALONE)


def let_signals_come() -> None:
    """Those that end a command, wake it, or tell it of a child's end; what it is to ignore it goes on ignoring."""
    import signal

    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)


def finding_dynkv(environ: "Mapping[str, str]") -> dict[str, str]:
    """For another interpreter: with the path of dynkv, where it was found by `python -m` in its own directory."""
    paths = [path for path in environ.get("PYTHONPATH", "").split(":") if path]
    if (root := root_for_others()) is None or root in paths:
        return dict(environ)
    return {**environ, "PYTHONPATH": ":".join([root, *paths])}


def end_as_by_ctrl_c() -> None:
    """From now on what would end this command at once lets it clear up first."""
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def root_for_others() -> str | None:
    """Where another interpreter would not find dynkv by itself: the directory in which this one was started."""
    return _ROOT if sys.path[:1] == [_ROOT] and _ROOT not in sys.path[1:] else None


def _with_whole_paths(environ: "Mapping[str, str]") -> dict[str, str]:
    """Where Python's library or dynkv itself was found by a relative path, that is made whole."""
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
    except OSError:  # it was removed
        return "/"
