"""One attempt against a real server, whatever it answers."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from typing import Any

import anyio
import pytest
from answering import Answering, http, serving
from hypothesis import given
from hypothesis import strategies as st
from lab import free_port
from msgspec.structs import replace

from dynkv.plan.model import HttpGet, Probe, Probes
from dynkv.plan.serving import Frontend, Task
from dynkv.probes.attempt import Attempt, attempt, model_ids, reason_in
from dynkv.probes.http import request
from dynkv.probes.inference import Answer, infer, warm_up_prompt
from dynkv.probes.registered import registered_in
from dynkv.probes.scrape import Figures
from dynkv.probes.streak import Verdict
from dynkv.probes.worker import News, Phase, probing

pytestmark = pytest.mark.anyio

NOT_READY = {
    "model": "org/tiny",
    "ready": False,
    "reason": "no namespace has all required worker types live",
    "namespaces": {"dynamo": {"ready": False, "reason": "missing worker types: prefill"}},
}


async def outcome(answer: bytes, timeout_s: float = 5) -> Attempt:
    async with serving(lambda path: answer) as server:
        return await attempt(server.probe(timeout_s=timeout_s))


@pytest.mark.parametrize("status", [200, 204, 302, 399])
async def test_two_and_three_hundreds_pass(status: int) -> None:
    result = await outcome(http(status))
    assert (result.ok, result.detail) == (True, "ok")
    assert 0 < result.latency_s < 5


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (http(503, NOT_READY), "missing worker types: prefill"),
        (http(503, {**NOT_READY, "namespaces": {}}), "no namespace has all required worker types live"),
        (http(503, {"status": "notready"}), "/health answered 503"),
        (http(500), "/health answered 500"),
        (http(404, {"error": {"message": "no such model"}}), "no such model"),
    ],
)
async def test_an_answer_that_says_no(answer: bytes, detail: str) -> None:
    result = await outcome(answer)
    assert (result.ok, result.detail) == (False, detail)


async def test_nothing_listens() -> None:
    result = await attempt(Probe((HttpGet(free_port(), "/health"),)))
    assert (result.ok, result.detail) == (False, "/health: nothing listens yet")


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing(socket.socket()) as newest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (newest.fileno() + 1, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_could_not_be_tried_says_nothing() -> None:
    """As in a supervisor that has reached its limit of open files: its units are well anyway."""
    async with serving(lambda path: http(200)) as server:
        probe = replace(server.probe(), failure_threshold=1, period_seconds=0.01)
        async with aclosing(probing(Probes(probe, probe))) as results:
            with no_descriptor_left():
                result = await attempt(probe)
                first = await anext(results)
            assert (result.ok, result.is_known, result.detail) == (
                False,
                False,
                "could not be tried: Too many open files",
            )
            assert (first.verdict, first.attempt.is_known) == (Verdict.OPEN, False)
            assert (await anext(results)).verdict is Verdict.PASSED


async def test_no_answer_in_time() -> None:
    result = await outcome(b"", timeout_s=0.1)
    assert (result.ok, result.detail) == (False, "/health did not answer within 0.1 s")
    assert result.latency_s >= 0.1


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"\x00\xff" * 100])
async def test_what_is_no_http_fails_and_raises_nothing(answer: bytes) -> None:
    result = await outcome(answer)
    assert not result.ok
    assert result.detail.startswith("/health: ")


async def test_all_checks_have_to_pass_and_the_first_that_does_not_is_told() -> None:
    async with serving(lambda path: http(500 if path == "/b" else 200)) as server:
        checks = tuple(HttpGet(server.port, path) for path in ("/a", "/b", "/c"))
        result = await attempt(Probe(checks))
        assert (result.ok, result.detail) == (False, "/b answered 500")
        assert [path for path, _ in server.asked] == ["/a", "/b"]


@pytest.mark.parametrize(("listed", "ok"), [("org/tiny", True), ("org/other", False)])
async def test_a_404_passes_where_the_model_is_listed(listed: str, ok: bool) -> None:
    """ai-dynamo 1.3.1 answers like this for a name with a slash."""
    models = http(200, {"object": "list", "data": [{"id": listed, "object": "model"}]})
    async with serving(lambda path: models if path == "/v1/models" else http(404)) as server:
        check = HttpGet(server.port, "/v1/models/org%2Ftiny/ready", or_lists_model="org/tiny")
        result = await attempt(Probe((check,), timeout_seconds=5))
        assert result.ok is ok
        assert result.detail == ("ok" if ok else "/v1/models/org/tiny/ready answered 404")
        assert [path for path, _ in server.asked] == ["/v1/models/org%2Ftiny/ready", "/v1/models"]


async def test_without_such_a_model_a_404_is_a_404() -> None:
    async with serving(lambda path: http(404)) as server:
        assert not (await attempt(server.probe())).ok
        assert [path for path, _ in server.asked] == ["/health"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"data": 3}', b'{"data": [{}]}', b"null"])
def test_what_is_no_list_of_models_lists_none(body: bytes) -> None:
    assert model_ids(body) == []


@pytest.mark.parametrize("body", [b"", b"nope", b"[1]", b"{}", b'{"reason": ""}', b'{"namespaces": {"a": 1}}', b"3"])
def test_what_gives_no_reason(body: bytes) -> None:
    assert reason_in(body) is None


KEYS = st.sampled_from(
    "reason message detail error namespaces data id dynamo choices nvext worker_id decode_worker_id registered_gpu_ids "
    "registered_non_cuda_instance_ids".split()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=4),
    max_leaves=12,
)
"""Any JSON, with keys that have a meaning here."""


@given(JSON)
def test_whatever_is_answered_a_reason_is_words_or_none(body: object) -> None:
    reason = reason_in(json.dumps(body).encode())
    assert reason is None or is_fit_to_be_kept(reason)
    assert isinstance(model_ids(json.dumps(body).encode()), list)


def is_fit_to_be_kept(words: str) -> bool:
    """Whether it is one line that a terminal and JSON can take."""
    return bool(words.strip()) and words.isprintable() and len(words) < 400 and bool(words.encode())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (" on\ntwo\r\nlines ", "on two lines"),
        ("\u001b[31mred\u001b[0m\u0007", "[31mred [0m"),
        ("half a character: \ud800", "half a character:"),
        ("\N{GRINNING FACE}", "\N{GRINNING FACE}"),
        ("\u202eleft", "left"),
        ("x" * 5000, "x" * 300 + "…"),
    ],
)
def test_a_reason_is_one_line_that_any_terminal_and_any_json_can_hold(said: str, told: str) -> None:
    assert reason_in(json.dumps({"reason": said}).encode()) == told


def test_one_reason_that_is_no_text_hides_no_other() -> None:
    spaces = {"a": {"reason": {"code": 5}}, "b": {"reason": "missing worker types: prefill"}}
    assert reason_in(json.dumps({"namespaces": spaces}).encode()) == "missing worker types: prefill"


async def test_an_answer_nested_beyond_reason_is_no_reason() -> None:
    result = await outcome(b"HTTP/1.1 503 X\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000)
    assert (result.ok, result.detail) == (False, "/health answered 503")


# --- whatever comes over the line ---

PIECES = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 503 X\r\n", b"HTTP/1.1 101 X\r\n", b"HTTP/1.1 100 X\r\n\r\n", b"\r\n"]
PIECES += [b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: x\r\n", b"Upgrade: x\r\n"]
PIECES += [b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\n", b"5\r\nx foo\r\n", b"0\r\n\r\n", b"ff"]
PIECES += [b"x foo\n", b"x NaN\n", b"\x00", b"\xff", b"{", b'"', b"<html>", b": ", b"\r", b"\n"]
ANYTHING = (
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map(b"".join)
    | st.binary(min_size=1)
    | JSON.map(lambda body: http(200, body))
    | JSON.map(lambda body: http(503, body))
    | st.text().map(lambda text: http(200, text.encode("utf-8", "replace")))
)
BODIES = st.binary() | JSON.map(lambda body: json.dumps(body).encode())


@given(ANYTHING)
async def test_whatever_is_answered_nobody_who_asks_raises_anything(answer: bytes) -> None:
    async with serving(lambda path: answer) as server:
        check = HttpGet(server.port, "/metrics", or_lists_model="m")
        with anyio.fail_after(20):
            for figures in (None, Figures({"a": check})):
                result = await attempt(Probe((check,), timeout_seconds=20), figures)
                assert is_fit_to_be_kept(result.detail)
                text = await (figures or Figures()).get(check, max_age_s=0.0, timeout_s=20)
                assert text is None or text.encode() is not None
            done = await infer(Frontend("127.0.0.1", server.port, "m"), "127.0.0.1", "1")
            assert is_fit_to_be_kept(done.detail)
            assert all(is_fit_to_be_kept(worker) for worker in done.workers)
            with suppress(OSError):
                await request("127.0.0.1", server.port, "/status")


@given(BODIES)
def test_whatever_the_sidecar_answers_ids_are_words_or_it_does_not_say(body: bytes) -> None:
    found = registered_in(body)
    assert found is None or all(isinstance(it, str) for it in found)


@pytest.mark.parametrize(
    ("status", "ids"),
    [
        ('{"registered_gpu_ids": [1, 2, 3]}', {"1", "2", "3"}),
        ('{"registered_gpu_ids": [], "registered_non_cuda_instance_ids": ["4"]}', {"4"}),
        ('{"registered_gpu_ids": null}', set()),
        ('{"registered_gpu_ids": [1, null, {}, [2]]}', {"1"}),
        ("{}", set()),
        ("", None),
        ("[]", None),
        ("null", None),
        ("<html>", None),
        ('{"registered_gpu_ids": 3}', None),
        ('{"registered_gpu_ids": {"a": 1}}', None),
        ("[" * 100_000, None),
        ('{"registered_gpu_ids": [' + "[" * 100_000, None),
        ("1" * 5000, None),
    ],
)
def test_who_is_registered_at_the_sidecar(status: str, ids: set[str] | None) -> None:
    assert registered_in(status.encode()) == ids


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"choices": [1], "nvext": {"worker_id": {"a_worker_id": [[]]}}}'])
async def test_a_completion_with_nonsense_in_it(body: bytes) -> None:
    answer, _ = await completing(lambda path: http(200, body))
    assert answer.workers == frozenset()


# --- the order of a unit's probes ---


async def news_of(answers: list[int], number: int, *, readiness_period_s: float = 0.01, **startup: Any) -> list[News]:
    """The first `number` results of `probing`; the answers come in turn, and the last one repeats."""
    left = iter(answers[:-1])
    async with serving(lambda path: http(next(left, answers[-1]))) as server:
        settings: dict[str, Any] = {"period_seconds": 0.01, "failure_threshold": 3, **startup}
        readiness = server.probe(period_seconds=readiness_period_s, failure_threshold=2)
        told: list[News] = []
        results = probing(Probes(server.probe(**settings), readiness))
        with anyio.fail_after(10):
            async for news in results:
                told.append(news)
                if len(told) == number:
                    break
        await results.aclose()
        return told


async def test_startup_until_it_passes_then_readiness() -> None:
    told = await news_of([503, 503, 200, 503, 503, 200, 200], 7)
    assert [(news.phase, news.verdict) for news in told] == [
        (Phase.STARTUP, Verdict.OPEN),
        (Phase.STARTUP, Verdict.OPEN),
        (Phase.STARTUP, Verdict.PASSED),
        (Phase.READINESS, Verdict.OPEN),
        (Phase.READINESS, Verdict.FAILED),
        (Phase.READINESS, Verdict.PASSED),
        (Phase.READINESS, Verdict.PASSED),
    ]


async def test_readiness_that_has_failed_is_tried_at_the_pace_of_startup_until_it_passes() -> None:
    told = await news_of([200, 200, 503, 503, *[503] * 100, 200], 105, readiness_period_s=0.5)
    assert [news.verdict for news in told[1:4]] == [Verdict.PASSED, Verdict.OPEN, Verdict.FAILED]
    assert told[-1].verdict is Verdict.PASSED


async def test_it_ends_when_startup_fails_for_good() -> None:
    told = await news_of([503], 100)
    assert [news.verdict for news in told] == [Verdict.OPEN, Verdict.OPEN, Verdict.FAILED]


async def test_an_initial_delay_is_kept() -> None:
    began = anyio.current_time()
    await news_of([200], 1, initial_delay_seconds=0.2)
    assert anyio.current_time() - began >= 0.2


# --- a real completion ---


async def completing(answer: Answering) -> tuple[Answer, list[tuple[str, dict[str, object]]]]:
    async with serving(answer) as server:
        found = await infer(Frontend("0.0.0.0", server.port, "org/tiny"), "127.0.0.1", "1 2 3")
        return found, server.asked


SERVED = {"choices": [{"text": "a"}], "nvext": {"worker_id": {"prefill_worker_id": 7, "decode_worker_id": 8, "x": 9}}}


async def test_one_token_is_asked_for_and_who_served_it_is_told() -> None:
    answer, asked = await completing(lambda path: http(200, SERVED))
    assert answer == Answer(True, "answered", frozenset({"7", "8"}), Task.GENERATE)
    assert [(path, body["prompt"], body["max_tokens"], body["model"]) for path, body in asked] == [
        ("/v1/completions", "1 2 3", 1, "org/tiny")
    ]


async def test_a_model_that_only_chats_is_asked_through_chat() -> None:
    answer, asked = await completing(lambda path: http(200, SERVED) if "chat" in path else http(404))
    assert answer.ok
    assert [path for path, _ in asked] == ["/v1/completions", "/v1/chat/completions"]
    assert asked[1][1]["messages"] == [{"role": "user", "content": "1 2 3"}]


@pytest.mark.parametrize(("path", "task"), [("/v1/embeddings", Task.EMBED), ("/v1/classify", Task.CLASSIFY)])
async def test_a_model_that_does_not_generate_is_asked_for_what_it_does(path: str, task: Task) -> None:
    answer, asked = await completing(lambda asked: http(200, {"data": [{"index": 0}]}) if asked == path else http(404))
    assert (answer.ok, answer.task) == (True, task)
    assert asked[-1] == (path, {"model": "org/tiny", "input": "1 2 3"})


@pytest.mark.parametrize(
    ("task", "paths"),
    [
        (Task.GENERATE, ["/v1/completions", "/v1/chat/completions"]),
        (Task.EMBED, ["/v1/embeddings"]),
        (Task.CLASSIFY, ["/v1/classify"]),
        (Task.REALTIME, []),
    ],
)
async def test_of_a_known_task_only_its_endpoints_are_asked(task: Task, paths: list[str]) -> None:
    async with serving(lambda path: http(404)) as server:
        await infer(Frontend("127.0.0.1", server.port, "m", task), "127.0.0.1", "1")
        assert [path for path, _ in server.asked] == paths


async def test_when_neither_works_the_first_reason_is_told() -> None:
    answer, _ = await completing(lambda path: http(404, {"message": "none" if "chat" in path else "no such model"}))
    assert (answer.ok, answer.detail) == (False, "no such model")


async def test_an_error_of_the_engine_is_not_tried_again_through_chat() -> None:
    answer, asked = await completing(lambda path: http(500, {"message": "engine is dead"}))
    assert (answer.ok, answer.detail, len(asked)) == (False, "engine is dead", 1)


@pytest.mark.parametrize("body", [[], {}, {"choices": []}, 3, {"choices": 0}])
async def test_a_200_that_is_no_completion(body: object) -> None:
    answer, _ = await completing(lambda path: http(200, body))
    assert not answer.ok


@pytest.mark.parametrize(
    "nvext", [None, 3, {}, {"worker_id": None}, {"worker_id": 3}, {"worker_id": {"worker_id": None}}]
)
async def test_workers_are_unknown_where_it_does_not_say(nvext: object) -> None:
    answer, _ = await completing(lambda path: http(200, {"choices": [1], "nvext": nvext}))
    assert answer == Answer(True, "answered", frozenset(), Task.GENERATE)


async def test_a_frontend_that_is_not_there() -> None:
    answer = await infer(Frontend("127.0.0.1", free_port(), "m"), "127.0.0.1", "x")
    assert (answer.ok, answer.workers) == (False, frozenset())
    assert answer.detail.startswith("/v1/completions: ")


def test_warm_up_prompts_are_long_enough_and_begin_unlike_each_other() -> None:
    prompts = [warm_up_prompt(number, 300) for number in range(20)]
    assert all(len(prompt.split()) == 300 for prompt in prompts)
    assert len({prompt.split()[0] for prompt in prompts}) == 20
