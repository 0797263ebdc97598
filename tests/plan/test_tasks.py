"""Models for tasks other than generating, and LoRA adapters."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hosts import host, option, plan

from dynkv.errors import ProfileError, UsageError
from dynkv.plan.facts import LoraFacts
from dynkv.plan.serving import Lora, Task

CPU = {"device": "cpu", "lmcache.enabled": False}


@pytest.mark.parametrize(
    ("task", "args"),
    [
        ("embed", ["--embedding-worker", "--runner", "pooling"]),
        ("classify", ["--classify-worker", "--runner", "pooling"]),
        ("realtime", ["--realtime"]),
        ("generate", []),
        ("auto", []),
    ],
)
def test_a_task_tells_the_workers(task: str, args: list[str]) -> None:
    made, plain = (plan("agg", host(0), {**CPU, "model.task": it}) for it in (task, "auto"))
    assert made.frontend is not None
    assert made.frontend.task == task
    argv, usual = made.unit("worker-0").argv, plain.unit("worker-0").argv
    assert [word for word in argv if word not in usual] == args
    assert set(usual) <= set(argv)


@pytest.mark.parametrize(
    ("words", "task"),
    [
        (["--embedding-worker", "--runner", "pooling"], Task.EMBED),
        (["--classify-worker"], Task.CLASSIFY),
        (["--realtime"], Task.REALTIME),
        (["--max-num-seqs", "4"], Task.AUTO),
    ],
)
@pytest.mark.parametrize("key", ["model.args", "model.role_args.worker", "workers.each.worker-0.args"])
def test_arguments_tell_the_task_too(key: str, words: list[str], task: Task) -> None:
    made = plan("agg", host(0), {**CPU, key: words})
    assert made.frontend is not None
    assert made.frontend.task is task


def test_workers_that_differ_tell_no_task() -> None:
    """And no worker is told the task of another."""
    settings = {"workers.replicas": 2, "workers.each.worker-0.args": ["--realtime"]}
    made = plan("agg", host(0), {**CPU, **settings})
    assert made.frontend is not None
    assert made.frontend.task is Task.AUTO
    assert ["--realtime" in made.unit(f"worker-{n}").argv for n in (0, 1)] == [True, False]


def test_only_a_realtime_workers_health_is_read_from_its_endpoint() -> None:
    name = "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS"
    found = {task: plan("agg", host(0), {**CPU, "model.task": task}).unit("worker-0").env for task in Task}
    assert {task for task, env in found.items() if name in env} == {Task.REALTIME}


@pytest.mark.parametrize("task", ["embed", "classify", "realtime"])
def test_what_has_no_prefill_is_not_divided(task: str) -> None:
    with pytest.raises(ProfileError, match="no separate prefill and decode"):
        plan("disagg", host(2), {"model.task": task})


def test_the_mocker_generates_whatever_the_task() -> None:
    made = plan("agg", host(0), {**CPU, "engine": "mocker", "model.task": "embed"})
    assert made.frontend is not None
    assert made.frontend.task is Task.GENERATE
    assert any("embed is not tried" in note for note in made.notes)


def test_each_process_that_serves_embeddings_has_a_port() -> None:
    """Each listens at its number above the worker's own port (ai-dynamo 1.6.1)."""
    args = ["--embedding-worker-processes", "3"]
    made = plan("agg", host(0), {**CPU, "model.task": "embed", "model.args": args, "workers.replicas": 2})
    assert [unit.ports for unit in made.workers] == [
        {"system": 8081, "system-1": 8082, "system-2": 8083},
        {"system": 8084, "system-1": 8085, "system-2": 8086},
    ]


# --- LoRA ---


SQL, CODE = {"name": "sql", "path": "/a/sql"}, {"name": "org/code", "path": "hf://org/code"}


def with_loras(
    *loras: dict[str, str], facts: dict[str, LoraFacts] | None = None, args: Sequence[str] = ()
) -> tuple[str, ...]:
    made = plan("agg", host(0, loras=facts or {}), {**CPU, "model.loras": [*loras], "model.args": [*args]})
    return made.unit("worker-0").argv


def test_every_worker_is_to_load_them_all() -> None:
    loras = [
        SQL,
        CODE,
        {"name": "own", "path": "~/own"},
        {"name": "here", "path": "sub"},
        {"name": "f", "path": "file:///f"},
    ]
    made = plan("disagg", host(2), {"model.loras": loras, "lmcache.enabled": False})
    assert made.unit("prefill-0").loras == made.unit("decode-0").loras
    assert made.unit("decode-0").loras == (
        Lora("sql", "file:///a/sql"),
        Lora("org/code", "hf://org/code"),
        Lora("own", "file:///home/me/own"),
        Lora("here", "file:///there/sub"),
        Lora("f", "file:///f"),
    )
    assert made.unit("decode-0").env["DYN_LORA_ENABLED"] == "true"
    assert made.unit("frontend").loras == ()


def test_there_is_room_for_all() -> None:
    argv = with_loras(SQL, CODE)
    assert "--enable-lora" in argv
    assert [option(argv, flag) for flag in ("--max-loras", "--max-cpu-loras")] == ["2", "2"]
    many = with_loras(*({"name": f"l{n}", "path": "/l"} for n in range(20)))
    assert [option(many, flag) for flag in ("--max-loras", "--max-cpu-loras")] == ["8", "20"]


@pytest.mark.parametrize(("rank", "told"), [(4, "16"), (16, "16"), (17, "32"), (65, "128"), (512, "512"), (None, "16")])
def test_the_highest_rank_counts(rank: int | None, told: str) -> None:
    facts = {"sql": LoraFacts(rank), "other": LoraFacts(2)}
    assert option(with_loras(SQL, facts=facts), "--max-lora-rank") == told


def test_a_persons_own_numbers_count() -> None:
    own = ["--max-loras", "4", "--max_lora_rank=64"]
    argv = with_loras(SQL, args=own)
    assert argv.count("--max-loras") == 1
    assert "--max-lora-rank" not in argv
    assert option(argv, "--max-cpu-loras") == "4"


def test_a_plan_without_them_says_nothing_of_them() -> None:
    made = plan("agg", host(0), CPU)
    assert "--enable-lora" not in made.unit("worker-0").argv
    assert "DYN_LORA_ENABLED" not in made.unit("worker-0").env


def test_another_adapter_is_a_reason_to_restart() -> None:
    one, two = (
        plan("agg", host(0), {**CPU, "model.loras": [it]}).unit("worker-0") for it in (SQL, {**SQL, "path": "/b"})
    )
    assert one.digest() != two.digest()


def test_the_mocker_loads_none() -> None:
    made = plan("agg", host(0), {**CPU, "engine": "mocker", "model.loras": [SQL]})
    assert made.unit("worker-0").loras == ()
    assert any("LoRA" in note for note in made.notes)


@pytest.mark.parametrize(
    ("loras", "words"),
    [
        ([SQL, SQL], "two LoRA adapters have the name sql"),
        ([{**SQL, "path": "https://host/x"}], "cannot be read from https://"),
        ([{**SQL, "name": "a b"}], "match pattern"),
        ([{**SQL, "name": ""}], "match pattern"),
        ([{**SQL, "path": ""}], "at least 1"),
    ],
)
def test_what_can_be_no_adapter(loras: list[dict[str, str]], words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        plan("agg", host(0), {**CPU, "model.loras": loras})


@pytest.mark.parametrize("task", ["embed", "classify", "realtime"])
def test_pooling_workers_take_none(task: str) -> None:
    with pytest.raises(ProfileError, match="cannot load LoRA adapters"):
        plan("agg", host(0), {**CPU, "model.loras": [SQL], "model.task": task})


def test_none_is_called_as_the_model_is() -> None:
    with pytest.raises(UsageError, match="the model itself has the name 'sql'"):
        plan("agg", host(0), {**CPU, "model.loras": [SQL], "model.served_name": "sql"})
