"""Programs forked from a process that has done their imports, with tiny programs instead of vLLM.

Each story runs in a separate process, which is a subreaper like the supervisor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dynkv.instack import script

HEAD = """
import json, os, signal, sys, time
from pathlib import Path
import anyio
from dynkv.children.child import Child
from dynkv.children.standby import StandbyProcess, StandbyFailed
from dynkv.children.reaper import become_subreaper
from dynkv.children.scheduling import Schedule
from dynkv.children.stop import kill_tree
from dynkv.host.processes import command_line, environment_of, read_process
from dynkv.plan.model import Standby

become_subreaper()
here = Path(sys.argv[1])
ENV = {"PATH": os.environ["PATH"], "GIVEN": "to the standby", "DYNKV_INCARNATION": "standby's own"}

def standby(*modules, options=(), **more):
    planned = Standby("standby", modules, {}, (), True, 1, python_options=options, **more)
    return StandbyProcess.spawn(sys.executable, planned, ENV, here / "standby.log")

async def over(child):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child.watch)
        with anyio.fail_after(20):
            await child.exited.wait()
    child.reap()
    return child.exit

async def end(it):
    await it.close()
    await over(it.child)
"""

TELLS = """
import json, os, sys
if __name__ == "__main__":
    print(json.dumps({
        "argv": sys.argv, "orig": sys.orig_argv, "path": sys.path[0], "sid": os.getsid(0), "pid": os.getpid(),
        "env": {name: os.environ.get(name) for name in ("GIVEN", "OWN", "DYNKV_ROOM")},
        "fds": sorted(os.listdir("/proc/self/fd")), "imported": "colorsys" in sys.modules,
        "tmp": __import__("tempfile").gettempdir(),
    }), flush=True)
    raise SystemExit(int(os.environ.get("CODE", "0")))
"""


def story(tmp_path: Path, body: str, **programs: str) -> Any:
    """What `body`, the inside of an async function, reports as `said`."""
    for name, text in programs.items():
        (tmp_path / f"{name}.py").write_text(text)
    script = tmp_path / "story.py"
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    script.write_text(
        f"{HEAD}\nasync def main():\n    said = {{}}\n{lines}\n    print(json.dumps(said))\nanyio.run(main)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("flags", [["-E"], ["-I"]], ids=["as usual", "with a safe path"])
def test_it_finds_its_parts_where_dynkv_cannot_be_imported(tmp_path: Path, flags: list[str]) -> None:
    python = [sys.executable, "-S", *flags]
    assert subprocess.run([*python, "-c", "import dynkv"], capture_output=True, cwd=tmp_path).returncode == 1
    done = subprocess.run([*python, script("standby"), "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


PROGRAMS = {"-m": '"-m", "tells"', "-c": '"-c", (here / "tells.py").read_text()', "file": 'str(here / "tells.py")'}


@pytest.mark.parametrize("how", PROGRAMS)
def test_a_program_finds_everything_as_if_it_had_been_started(tmp_path: Path, how: str) -> None:
    said = story(
        tmp_path,
        f"""
it = standby("colorsys")
await it.parked()
log = here / "unit.log"
log.write_text("before\\n")
argv = [sys.executable, {PROGRAMS[how]}, "--one", "two"]
child = await it.launch(argv, {{"OWN": "x", "CODE": "7", "TMPDIR": str(here)}}, log)
said["log_start"] = child.log_start_byte
said["exit"] = (await over(child)).code
said["pid"], said["incarnation"] = child.pid, child.root.incarnation
said["told"] = json.loads(log.read_text().splitlines()[-1])
said["first"] = log.read_text().splitlines()[0]
await end(it)
""",
        tells=TELLS,
    )
    told = said["told"]
    assert said["exit"] == 7
    assert (said["first"], said["log_start"]) == ("before", len("before\n"))
    assert told["argv"] == ["-c" if how == "-c" else str(tmp_path / "tells.py"), "--one", "two"]
    program = {"-m": ["-m", "tells"], "-c": ["-c", TELLS], "file": told["argv"][:1]}[how]
    assert told["orig"] == [sys.executable, *program, "--one", "two"]
    assert told["path"] == ("" if how == "-c" else str(tmp_path))
    assert told["env"] == {"GIVEN": None, "OWN": "x", "DYNKV_ROOM": None}
    assert told["pid"] == told["sid"] == said["pid"]
    assert told["imported"]
    assert told["tmp"] == str(tmp_path)


def test_code_is_the_main_module_and_has_nothing_of_the_launcher(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("colorsys")
await it.parked()
code = "import sys; print(sorted(vars(sys.modules['__main__'])))"
await over(await it.launch([sys.executable, "-c", code], {}, here / "log"))
said["names"] = (here / "log").read_text()
await end(it)
""",
    )
    own = subprocess.check_output([sys.executable, "-c", "import sys; print(sorted(vars(sys.modules['__main__'])))"])
    launched = set(said["names"].strip("[]\n").split(", "))
    assert launched == set(own.decode().strip("[]\n").split(", ")) - {"'__annotations__'"}


@pytest.mark.parametrize("words", ['"-m", "wherever"', 'str(here / "somewhere" / "tells.py")'], ids=["-m", "file"])
@pytest.mark.parametrize("options", [(), ("-P",)], ids=["plain", "-P"])
def test_with_a_safe_path_nothing_comes_from_where_it_runs(
    tmp_path: Path, words: str, options: tuple[str, ...]
) -> None:
    """Whether a program has a safe path depends on its own arguments, not on the standby's."""
    (tmp_path / "somewhere").mkdir()
    (tmp_path / "somewhere" / "tells.py").write_text("import json, sys\nprint(json.dumps(sys.path))\n")
    said = story(
        tmp_path,
        f"""
it = standby("colorsys", options={options})
await it.parked()
for name, more in (("safe", ["-P"]), ("plain", [])):
    log = here / name
    await over(await it.launch([sys.executable, *more, {words}], {{}}, log))
    said[name] = log.read_text()
await end(it)
""",
        wherever="import json, sys\nprint(json.dumps(sys.path))\n",
    )
    places = {str(tmp_path), str(tmp_path / "somewhere"), str(Path(script("standby")).parent)}
    plain = set(json.loads(said["plain"]))
    assert plain & places == {str(tmp_path) if "-m" in words else str(tmp_path / "somewhere")}
    if "-m" in words:
        assert "No module named wherever" in said["safe"]
    else:
        assert not places & set(json.loads(said["safe"]))


def test_what_is_imported_ahead_does_not_come_from_where_it_runs_either(tmp_path: Path) -> None:
    body = """
for options in ((), ("-P",)):
    it = standby("colorsys", options=options)
    try:
        await it.parked()
        said[str(options)] = "parked"
    except StandbyFailed as error:
        said[str(options)] = str(error)
    await end(it)
"""
    said = story(tmp_path, body, colorsys="raise RuntimeError('of a stranger')\n")
    assert said == {"()": "colorsys cannot be imported: RuntimeError: of a stranger", "('-P',)": "parked"}


def test_proc_shows_the_program_and_not_the_launcher(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("colorsys")
await it.parked()
argv = [sys.executable, str(here / "waits.py"), "a" * 3000]
child = await it.launch(argv, {"OWN": "x"}, here / "unit.log")
shown = command_line(child.pid).decode().split(chr(0))
said["argv"] = shown == [*argv, ""]
said["env"] = environment_of(child.pid)
said["incarnation"] = child.root.incarnation
said["launchers"] = environment_of(it.child.pid)["DYNKV_INCARNATION"]
said["parent_is_us"] = read_process(child.pid).ppid == os.getpid()
said["in_launchers_tree"] = child.pid in [process.pid for process in it.child.tree()]
child.signal(signal.SIGKILL)
said["exit"] = (await over(child)).signal
await end(it)
""",
        waits="import time\ntime.sleep(60)\n",
    )
    assert said["argv"]
    assert said["env"] == {"OWN": "x", "DYNKV_INCARNATION": said["incarnation"]}
    assert said["launchers"] != said["incarnation"]
    assert said["parent_is_us"]
    assert not said["in_launchers_tree"]
    assert said["exit"] == 9


SPAWNS = """
import json, multiprocessing, os, sys
from multiprocessing import parent_process

def grandchild(queue):
    queue.put(("grandchild", "colorsys" in sys.modules, os.environ.get("LATE"), os.environ.get("LATER"), os.getsid(0)))

def child(queue):
    os.environ["LATER"] = "set by the child"
    queue.put(("child", "colorsys" in sys.modules, os.environ.get("LATE"), os.environ.get("LATER"), os.getsid(0)))
    process = multiprocessing.get_context("spawn").Process(target=grandchild, args=(queue,))
    process.start()
    process.join()
    raise SystemExit(5)

if __name__ == "__main__":
    os.environ["LATE"] = "set by the program"
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print(json.dumps(queue.get(timeout=20)), json.dumps(queue.get(timeout=20)), sep="\\n", flush=True)
    process.join()
    print(json.dumps([os.getsid(0), process.exitcode]), flush=True)
"""


def test_what_it_spawns_has_the_imports_and_the_environment_of_that_moment(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("colorsys", "multiprocessing.forkserver", spawns=True)
await it.parked()
child = await it.launch([sys.executable, "-m", "spawns"], {}, here / "unit.log")
said["exit"] = (await over(child)).code
said["told"] = (here / "unit.log").read_text()
with anyio.fail_after(20):
    while child.tree():
        await anyio.sleep(0.01)
await end(it)
""",
        spawns=SPAWNS,
    )
    assert said["exit"] == 0, said["told"]
    child, grandchild, (session, exit_code) = (json.loads(line) for line in said["told"].splitlines())
    assert child == ["child", True, "set by the program", "set by the child", session]
    assert grandchild == ["grandchild", True, "set by the program", "set by the child", session]
    assert exit_code == 5


def test_a_module_that_is_gone_is_told(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
for modules in (["no_such_module"], ["raises"], ["leaves"]):
    it = standby(*modules)
    try:
        await it.parked()
    except StandbyFailed as error:
        said[modules[0]] = str(error)
    await over(it.child)
""",
        raises="raise RuntimeError('another version')\n",
        leaves="import sys\nsys.exit(3)\n",
    )
    assert said == {
        "no_such_module": "no_such_module cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        "raises": "raises cannot be imported: RuntimeError: another version",
        "leaves": "leaves cannot be imported: SystemExit: 3",
    }


def test_imports_that_have_begun_with_cuda_are_refused_where_it_matters(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
for cuda in (True, False):
    it = standby("torch", cuda=cuda)
    try:
        await it.parked()
        said[str(cuda)] = "parked"
        await end(it)
    except StandbyFailed as error:
        said[str(cuda)] = str(error)
        await over(it.child)
""",
        torch="class cuda:\n    @staticmethod\n    def _is_in_bad_fork(): return True\n",
    )
    assert "begun with CUDA" in said["True"]
    assert said["False"] == "parked"


def test_what_programs_import_later_is_done_ahead_as_far_as_it_can_be(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("colorsys", late=("later", "no_such_module", "raises", "leaves", "works:out", "works:nothing"))
await it.parked()
child = await it.launch([sys.executable, "-m", "shows"], ENV, here / "out")
said["exit"] = (await over(child)).code
said["told"] = (here / "out").read_text()
await end(it)
""",
        later="MADE = [1]\n",
        raises="raise RuntimeError('another version')\n",
        leaves="import sys\nsys.exit(3)\n",
        works="import functools, os\n@functools.cache\ndef out():\n    return os.getpid()\n",
        shows="import os, sys, works\nprint('later' in sys.modules, works.out() != os.getpid())\n",
    )
    assert (said["exit"], said["told"]) == (0, "True True\n"), said
    log = (tmp_path / "standby.log").read_text()
    for name in ("no_such_module", "raises", "leaves", "works:nothing"):
        assert f"{name} is left to the programs: " in log


def test_it_starts_anew_without_what_begins_with_cuda_later(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("torch", "harmless", cuda=True, late=("begins", "harmless"))
await it.parked()
child = await it.launch([sys.executable, "-m", "shows"], ENV, here / "out")
said["exit"] = (await over(child)).code
said["told"] = (here / "out").read_text()
await end(it)
""",
        torch="class cuda:\n    begun = False\n    @classmethod\n    def _is_in_bad_fork(cls): return cls.begun\n",
        begins="import os, torch\ntorch.cuda.begun = True\nos.environ['GIVEN'] = 'by the import'\n",
        harmless="",
        shows="import os, sys\n"
        "print(*(name in sys.modules for name in ('begins', 'torch', 'harmless')), os.environ['GIVEN'])\n",
    )
    assert (said["exit"], said["told"]) == (0, "False True True to the standby\n"), said
    assert (
        "started anew without begins, harmless: the imports have begun with CUDA"
        in (tmp_path / "standby.log").read_text()
    )


def test_what_was_launched_survives_the_launcher_and_the_other_way_round(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("colorsys")
await it.parked()
first = await it.launch([sys.executable, str(here / "waits.py")], {}, here / "a.log")
second = await it.launch([sys.executable, str(here / "waits.py")], {}, here / "b.log")
first.signal(signal.SIGKILL)
await over(first)
said["launcher_lives"] = read_process(it.child.pid).is_alive
it.child.signal(signal.SIGKILL)
await over(it.child)
said["second_lives"] = read_process(second.pid).is_alive
try:
    await it.launch([sys.executable, str(here / "waits.py")], {}, here / "c.log")
except StandbyFailed as error:
    said["then"] = "refused"
second.signal(signal.SIGKILL)
await over(second)
""",
        waits="import time\ntime.sleep(60)\n",
    )
    assert said == {"launcher_lives": True, "second_lives": True, "then": "refused"}


def test_it_ends_with_whoever_gives_its_orders(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("colorsys")
await it.parked()
await end(it)
said["exit"] = it.child.exit.code
""",
    )
    assert said == {"exit": 0}


BINDS = """
import json, multiprocessing, os

def child(queue):
    queue.put(sorted(os.sched_getaffinity(0)))

if __name__ == "__main__":
    os.environ["OMP_PLACES"] = "{%d}" % min(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print(json.dumps([queue.get(timeout=20), sorted(os.sched_getaffinity(0))]), flush=True)
    process.join()
"""


SCHEDULED = """
import json, multiprocessing, os
def how():
    return [os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0))]
def child(queue):
    queue.put(how())
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print(json.dumps([how(), queue.get(timeout=20)]), flush=True)
    process.join()
"""


def test_what_it_spawns_has_its_priority_and_its_cpus(tmp_path: Path) -> None:
    """The forkserver is forked before anybody outside could have set them for the program."""
    said = story(
        tmp_path,
        """
it = standby("colorsys", spawns=True)
await it.parked()
schedule = Schedule(7, (max(os.sched_getaffinity(0)),))
child = await it.launch([sys.executable, "-m", "scheduled"], {}, here / "unit.log", schedule=schedule)
said["exit"] = (await over(child)).code
said["told"] = (here / "unit.log").read_text()
await end(it)
""",
        scheduled=SCHEDULED,
    )
    assert said["exit"] == 0, said["told"]
    assert json.loads(said["told"]) == [[7, [max(os.sched_getaffinity(0))]]] * 2


SETS = """
import os, tempfile
os.environ["FORCED"] = "1"
os.environ.setdefault("BY_DEFAULT", "0")
os.environ["OF_TMPDIR"] = tempfile.gettempdir() + "/cache"
os.environ.pop("UNWANTED", None)
"""

ASKS = """
import json, os
import sets
kept = "BY_DEFAULT FORCED OF_TMPDIR UNWANTED".split()
print(json.dumps({name: os.environ[name] for name in kept if name in os.environ}))
"""


def test_what_imports_set_for_the_program_is_set_in_each(tmp_path: Path) -> None:
    """As if it had imported the modules itself; given variables stay, and nothing names the standby's own directory."""
    said = story(
        tmp_path,
        """
ENV.update({"TMPDIR": str(here), "UNWANTED": "x", "FORCED": "0"})
it = standby("sets")
await it.parked()
given = {"TMPDIR": "/tmp", "UNWANTED": "x", "FORCED": "0"}
for name, more in (("first", {"BY_DEFAULT": "own"}), ("second", {})):
    log = here / name
    await over(await it.launch([sys.executable, "-m", "asks"], {**given, **more}, log))
    said[name] = json.loads(log.read_text())
await end(it)
""",
        sets=SETS,
        asks=ASKS,
    )
    assert said["first"] == {"BY_DEFAULT": "own", "FORCED": "1"}
    assert said["second"] == {"BY_DEFAULT": "0", "FORCED": "1"}


def test_programs_draw_other_random_numbers(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("numpy.random")
await it.parked()
draws = "import random, numpy; print(random.random(), numpy.random.random())"
for name in "first", "second":
    await over(await it.launch([sys.executable, "-c", draws], {}, here / name))
    said[name] = (here / name).read_text().split()
await end(it)
""",
    )
    assert not {*said["first"]} & {*said["second"]}


def test_a_program_without_a_priority_of_its_own_has_that_of_its_supervisor(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
os.nice(5)
it = standby("colorsys")
await it.parked()
tells = "import os; print(os.nice(0))"
await over(await it.launch([sys.executable, "-c", tells], {}, here / "log"))
said["nice"] = int((here / "log").read_text()) - os.nice(0)
await end(it)
""",
    )
    assert said == {"nice": 0}


def test_what_it_spawns_is_bound_to_its_cores_as_openmp_would_have_bound_it(tmp_path: Path) -> None:
    said = story(
        tmp_path,
        """
it = standby("colorsys", spawns=True)
await it.parked()
child = await it.launch([sys.executable, "-m", "binds"], {}, here / "unit.log")
said["exit"] = (await over(child)).code
said["told"] = (here / "unit.log").read_text()
await end(it)
""",
        binds=BINDS,
    )
    assert said["exit"] == 0, said["told"]
    spawned, own = json.loads(said["told"])
    assert spawned == own[:1]
