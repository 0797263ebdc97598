"""The text below every verb's options: examples, and the meaning of the exit codes."""

from __future__ import annotations

from inspect import cleandoc

from dynkv.errors import EXIT_CODES

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "up": (
        ("dynkv up agg", "a worker on each GPU, with LMCache"),
        ("dynkv up disagg --gpus 0,1", "decode on GPU 0, prefill on GPU 1"),
        ("dynkv up agg --device cpu --model tiny", "the real programs on a laptop, without network"),
        ("dynkv up mine.yaml --set frontend.port=8001", "your own profile, with one key changed"),
    ),
    "status": (
        ("dynkv status", "the only deployment, or the one that is running"),
        ("dynkv status --watch", "live, until Ctrl-C"),
        ("dynkv status agg --json", "all details, for scripts"),
    ),
    "top": (
        ("dynkv top", "live: requests, caches, GPUs, units, events, a log"),
        ("dynkv top --web --port 9820", "the same in a browser, at the address that it prints"),
    ),
    "wait": (
        ("dynkv wait --for ready --timeout 600", "for scripts; exit code 5 if it takes longer"),
        ("dynkv wait agg --for down", "until it has been taken down"),
    ),
    "down": (
        ("dynkv down", "works even if its supervisor is dead"),
        ("dynkv down agg --timeout 30", "stop waiting after 30 s; it continues"),
    ),
    "logs": (
        ("dynkv logs -f", "all units as they write, in the order of time"),
        ("dynkv logs worker-0 -n 500", "the last 500 lines of one unit"),
        ("dynkv logs --since 10m --level error", "what went wrong in the last ten minutes"),
        ("dynkv logs --grep 'KV cache'", "lines that match a regular expression"),
    ),
    "events": (
        ("dynkv events", "what happened, why, and how long it took"),
        ("dynkv events -f --unit worker-0", "one unit, live"),
        ("dynkv events --since 1h --kind exit", "the deaths of the last hour"),
    ),
    "restart": (
        ("dynkv restart worker-0 --wait", "wait until it is ready again"),
        ("dynkv restart --rolling worker", "all of a role, each ready before the next"),
    ),
    "start": (("dynkv start worker-0 --wait", "one that was stopped or has failed"),),
    "stop": (("dynkv stop worker-0 --wait", "it stays stopped until `dynkv start`"),),
    "scale": (
        ("dynkv scale worker=1", "stop all workers but the first"),
        ("dynkv scale decode=2 prefill=1 --wait", "return when they are there, or gone"),
    ),
    "plan": (
        ("dynkv plan disagg --gpus 0,1", "every process, its ports and what it waits for"),
        ("dynkv plan agg --shell", "a script that starts the same by hand"),
        ("dynkv plan agg --json", "for scripts"),
    ),
    "diff": (
        ("dynkv diff agg --set lmcache.chunk_size=512", "which units that would restart, and why"),
        ("dynkv diff mine.yaml --json", "for scripts"),
    ),
    "doctor": (
        ("dynkv doctor", "can this host run agg?"),
        ("dynkv doctor disagg --gpus 0,1", "the same checks that `up` makes first"),
        ("dynkv doctor --clean", "end and remove what dead deployments left"),
    ),
    "park": (
        ("dynkv park agg", "imports of agg's workers, kept for the next `up`"),
        ("dynkv park", "what is parked, since when, and what memory it takes"),
        ("dynkv park --stop", "end what is parked"),
    ),
    "stack": (("dynkv stack", "what is installed, and where"),),
    "stack install": (
        ("dynkv stack install cpu", "Dynamo, vLLM's CPU build, LMCache and NIXL"),
        ("dynkv stack install gpu --into /opt/stack", "then `python: /opt/stack/bin/python` in the profile"),
    ),
    "stack remove": (("dynkv stack remove cpu", "frees several gigabytes"),),
    "init": (
        ("dynkv init", "write dynkv.yaml to suit this host"),
        ("dynkv init --model /models/my-model --out mine.yaml", "for your own model"),
        ("dynkv init --from-script agg_lmcache_mp.sh --out -", "print what a launch script does"),
        ("dynkv init --from-script agg.sh -- --model Qwen/Qwen3-8B", "the same with arguments for the script"),
    ),
    "import": (
        ("dynkv import agg_router.yaml", "turn one of Dynamo's examples into a profile"),
        ("dynkv import k8s/deployment.yaml --out mine.yaml", "read back what `dynkv export k8s` wrote"),
    ),
    "bench": (
        ("dynkv bench agg --against 'agg --no-lmcache'", "whether LMCache pays off for chats"),
        ("dynkv bench agg --workload rag --kv-pressure 0.5,1,2,4", "the same as documents outgrow the GPU's KV cache"),
        ("dynkv bench agg --sweep lmcache.chunk_size=256,512", "compare values of a profile key"),
        ("dynkv bench agg --out dynkv-bench-20260131-120000", "continue an interrupted run"),
    ),
    "record": (
        ("dynkv record --out monday.jsonl", "until Ctrl-C"),
        ("dynkv record agg --out hour.jsonl --for 3600", "for an hour"),
    ),
    "advise": (
        ("dynkv advise agg --trace monday.jsonl", "is L1 large enough, or too large, for that traffic?"),
        ("dynkv advise agg --model /models/my-model --trace monday.jsonl --json", "for scripts"),
    ),
    "observe": (
        ("dynkv observe --out watch", "for all running deployments"),
        ("dynkv observe mine.yaml --out watch", "for one that is not running yet"),
    ),
    "completion": (("dynkv completion bash", "in ~/.bashrc: source <(dynkv completion bash)"),),
    "export": (("dynkv export", "list the targets"),),
    "export k8s": (
        ("dynkv export k8s agg --out k8s", "for the operators of Dynamo and LMCache"),
        (
            "dynkv export k8s disagg --gpus 0,1,2 --namespace serving --out k8s",
            "two decode workers and one for prefill",
        ),
        ("dynkv export k8s mine.yaml --model-pvc models --out k8s", "the model comes from a PersistentVolumeClaim"),
    ),
    "export compose": (("dynkv export compose agg --out compose", "then `docker compose up` in it"),),
    "export systemd": (
        ("dynkv export systemd agg --out systemd", "dynkv@.service and agg.yaml"),
        ("dynkv export systemd mine.yaml --user --out systemd", "for your user's service manager, without root"),
    ),
    "export shell": (("dynkv export shell agg --out by-hand", "agg.sh, as `dynkv plan agg --shell` prints it"),),
    "profiles": (("dynkv profiles", "list the shipped profiles"),),
    "profiles show": (("dynkv profiles show agg", "print one to start your own from"),),
    "profiles schema": (("dynkv profiles schema", "for editors"),),
}
"""For each verb, what to type and what it does."""


def above_options(docstring: str | None) -> str:
    """The beginning of a verb's help: its paragraphs, which typer breaks into lines."""
    paragraphs = cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


def below_options(verb: str) -> str:
    """The end of a verb's help."""
    examples = "\n\n".join(f"  # {does}\n  {typed}" for typed, does in EXAMPLES[verb])
    codes = " · ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    return f"Examples:\n{examples}\n\nExit codes: {codes}"
