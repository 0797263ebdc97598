"""What of the environment around a command goes on to what it starts. Pure, and imported before anything else.

An empty or relative entry of a search path means wherever somebody happens to be, and in /tmp that is where everybody
may put a file; so it goes no further than the command. A person's absolute entries do.
Source: CPython 3.11 to 3.13, "Command line and environment"; ld.so(8); execvp(3) for PATH.
"""

TYPE_CHECKING = False  # mypy takes it as true; importing it takes longer than all that is here
if TYPE_CHECKING:
    from collections.abc import Mapping

SEARCH_PATHS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
_OWN_DIRECTORY = ("$ORIGIN", "${ORIGIN}")
"""Where what is being loaded lies. Source: ld.so(8)."""
_SINGLE_PLACES = ("PYTHONUSERBASE", "PYTHONPYCACHEPREFIX")
_OTHER_PROGRAM = ("PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONWARNINGS")
"""They make another program of it: one that reads commands in the end, has no help, or fails where others warn."""
_INSTALLATION = frozenset(
    "PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONNOUSERSITE PYTHONUTF8 PYTHONDONTWRITEBYTECODE".split()
) | {*_SINGLE_PLACES}
"""Where Python's parts are, and how it may write beside them."""
_OF_THE_LOGIN = frozenset("XDG_RUNTIME_DIR PWD OLDPWD".split())
"""It is over some day, and the supervisor is not."""
NO_PLUGINS = "PYDANTIC_DISABLE_PLUGINS", "__all__"
"""pydantic looks through all that is installed beside it for what might change what a profile means: nothing is to, and
in an environment with the stack that takes longer than to read the profile. Source: pydantic 2.13, "Plugins"."""


def absolute(environ: "Mapping[str, str]") -> dict[str, str]:
    """With those entries of search paths alone that mean the same everywhere; no variable for a path without any."""
    paths = {name: _absolute_entries(name, environ[name]) for name in SEARCH_PATHS if name in environ}
    return {name: paths.get(name, value) for name, value in environ.items() if paths.get(name, "kept")}


def of_command(environ: "Mapping[str, str]") -> dict[str, str]:
    """For a command of dynkv itself."""
    places = {name for name in _SINGLE_PLACES if not environ.get(name, "/").startswith("/")}
    return {name: value for name, value in absolute(environ).items() if name not in {*_OTHER_PROGRAM, *places}}


def of_supervisor(environ: "Mapping[str, str]") -> dict[str, str]:
    """For the process that stays."""
    return {
        name: value
        for name, value in of_command(environ).items()
        if name not in {*_OF_THE_LOGIN, NO_PLUGINS[0]} and (name in _INSTALLATION or not name.startswith("PYTHON"))
    }


def of_stack(environ: "Mapping[str, str]") -> dict[str, str]:
    """For the stack's interpreter, as it is asked or made to help: what is set for dynkv's own is nothing to it."""
    kept = absolute(environ).items()
    return {name: value for name, value in kept if name == "PYTHONPATH" or not name.startswith("PYTHON")}


def _absolute_entries(name: str, path: str) -> str:
    if name == "LD_LIBRARY_PATH":
        path = path.replace(";", ":")
    own = _OWN_DIRECTORY if name == "LD_LIBRARY_PATH" else ()
    return ":".join(entry for entry in path.split(":") if entry.startswith(("/", *own)))
