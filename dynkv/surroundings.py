"""Which of a command's environment variables are passed on to what it starts. Pure, and imported before anything else.

An empty or relative entry of a search path means the current directory, and in /tmp anyone can put a file there, so
such entries are not passed on. Absolute entries are.
Source: CPython 3.11 to 3.13, "Command line and environment"; ld.so(8); execvp(3) for PATH.
"""

TYPE_CHECKING = False  # mypy takes it as true; importing it takes longer than everything else here
if TYPE_CHECKING:
    from collections.abc import Mapping

SEARCH_PATHS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
_OWN_DIRECTORY = ("$ORIGIN", "${ORIGIN}")
"""The directory of the object being loaded. Source: ld.so(8)."""
_SINGLE_PLACES = ("PYTHONUSERBASE", "PYTHONPYCACHEPREFIX")
_OTHER_PROGRAM = ("PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONWARNINGS")
"""Variables that change how Python runs: it reads commands at the end, has no docstrings, or fails where others
warn."""
_INSTALLATION = frozenset(
    "PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONNOUSERSITE PYTHONUTF8 PYTHONDONTWRITEBYTECODE".split()
) | {*_SINGLE_PLACES}
"""Variables that say where Python's parts are, and how it may write next to them."""
_OF_THE_LOGIN = frozenset("XDG_RUNTIME_DIR PWD OLDPWD".split())
"""Variables of the login session, which the supervisor may outlive."""
NO_PLUGINS = "PYDANTIC_DISABLE_PLUGINS", "__all__"
"""pydantic searches all installed packages for plugins, which could change the meaning of a profile: none may, and in
an environment with the stack the search takes longer than reading the profile. Source: pydantic 2.13, "Plugins"."""


def absolute(environ: "Mapping[str, str]") -> dict[str, str]:
    """The environment with only absolute entries in search paths; a search path without any is dropped."""
    paths = {name: _absolute_entries(name, environ[name]) for name in SEARCH_PATHS if name in environ}
    return {name: paths.get(name, value) for name, value in environ.items() if paths.get(name, "kept")}


def of_command(environ: "Mapping[str, str]") -> dict[str, str]:
    """The environment for a command of dynkv."""
    places = {name for name in _SINGLE_PLACES if not environ.get(name, "/").startswith("/")}
    return {name: value for name, value in absolute(environ).items() if name not in {*_OTHER_PROGRAM, *places}}


def of_supervisor(environ: "Mapping[str, str]") -> dict[str, str]:
    """The environment for the supervisor, which outlives the command."""
    return {
        name: value
        for name, value in of_command(environ).items()
        if name not in {*_OF_THE_LOGIN, NO_PLUGINS[0]} and (name in _INSTALLATION or not name.startswith("PYTHON"))
    }


def of_stack(environ: "Mapping[str, str]") -> dict[str, str]:
    """The environment for the stack's interpreter when it answers or helps: without the PYTHON variables meant for
    dynkv."""
    kept = absolute(environ).items()
    return {name: value for name, value in kept if name == "PYTHONPATH" or not name.startswith("PYTHON")}


def _absolute_entries(name: str, path: str) -> str:
    if name == "LD_LIBRARY_PATH":
        path = path.replace(";", ":")
    own = _OWN_DIRECTORY if name == "LD_LIBRARY_PATH" else ()
    return ":".join(entry for entry in path.split(":") if entry.startswith(("/", *own)))
