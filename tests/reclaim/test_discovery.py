"""Entries of the dead, in a directory like Dynamo's."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apart import BECOME_NOBODY, NOBODY, as_root, told
from lab import free_port

from dynkv.reclaim.discovery import Entries, purge

Wait = Callable[[float], None]
DEAD, ALIVE = "6d2c1f0a9b8e7d6c", "1a2b3c4d5e6f7a8b"


@pytest.fixture
def open_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


class Discovery:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def instance(self, worker: str, port: int, endpoint: str = "generate") -> str:
        """An entry in the format of ai-dynamo 1.6.1."""
        address = f"127.0.0.1:{port}/{worker}/dynamo/backend/{endpoint}"
        content = {
            "namespace": "dynamo",
            "component": "backend",
            "endpoint": endpoint,
            "instance_id": int(worker, 16),
            "transport": {"tcp": address},
        }
        return self.write("instances", f"dynamo%2Fbackend%2F{endpoint}%2F{worker}", content)

    def card(self, worker: str, lora: str = "") -> str:
        content = {"card": {"display_name": "org/tiny", "runtime_config": {"address": "tcp://127.0.0.1:1"}}}
        return self.write("mdc", f"dynamo%2Fbackend%2Fgenerate%2F{worker}" + (f"%2F{lora}" if lora else ""), content)

    def channel(self, worker: str, port: int) -> str:
        content = {"topic": "kv-events", "transport": {"endpoint": f"tcp://127.0.0.1:{port}"}}
        return self.write("event_channels", f"dynamo%2Fbackend%2Fkv-events%2F{worker}", content)

    def write(self, kind: str, name: str, content: object) -> str:
        path = self.directory / "v1" / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return name

    @property
    def names(self) -> set[tuple[str, str]]:
        return {(path.parent.name, path.name) for path in self.directory.glob("v1/*/*")}


@pytest.fixture
def discovery(tmp_path: Path) -> Discovery:
    return Discovery(tmp_path)


def test_entries_of_the_dead_go_with_their_cards_and_those_of_the_living_stay(
    discovery: Discovery, open_port: int
) -> None:
    discovery.instance(ALIVE, open_port)
    discovery.card(ALIVE)
    discovery.channel(ALIVE, open_port)
    kept = discovery.names
    gone = [discovery.instance(DEAD, free_port()), discovery.card(DEAD), discovery.channel(DEAD, free_port())]
    assert purge(discovery.directory) == sorted(gone)
    assert discovery.names == kept
    assert purge(discovery.directory) == []


@pytest.mark.parametrize("lora", ["sql%2D20", "org%2Fcode", "abc", ALIVE])
def test_cards_of_lora_adapters_go_with_their_worker(discovery: Discovery, open_port: int, lora: str) -> None:
    """Named after the worker and then the adapter (ai-dynamo 1.6.1); an adapter's name may look like a worker's id."""
    discovery.instance(ALIVE, open_port)
    discovery.card(ALIVE)
    discovery.card(ALIVE, lora)
    kept = discovery.names
    gone = [discovery.instance(DEAD, free_port()), discovery.card(DEAD), discovery.card(DEAD, lora)]
    assert purge(discovery.directory) == sorted(gone)
    assert discovery.names == kept


def test_a_card_stays_for_as_long_as_one_of_its_workers_endpoints_lives(discovery: Discovery, open_port: int) -> None:
    dead = discovery.instance(ALIVE, free_port(), "clear_kv_blocks")
    discovery.instance(ALIVE, open_port)
    discovery.card(ALIVE)
    assert purge(discovery.directory) == [dead]


def test_a_card_whose_worker_has_no_entry_is_left_alone(discovery: Discovery) -> None:
    """It may belong to a worker that is about to register."""
    discovery.card(ALIVE)
    discovery.instance(DEAD, free_port())
    assert len(purge(discovery.directory)) == 1
    assert discovery.names == {("mdc", f"dynamo%2Fbackend%2Fgenerate%2F{ALIVE}")}


def test_a_dead_event_channel_does_not_cost_a_living_worker_its_card(discovery: Discovery, open_port: int) -> None:
    discovery.instance(ALIVE, open_port)
    discovery.card(ALIVE)
    channel = discovery.channel(ALIVE, free_port())
    assert purge(discovery.directory) == [channel]


@pytest.mark.parametrize("content", [{}, {"transport": {"nats": "dynamo.backend"}}, [], "tcp://nothing"])
def test_what_names_no_address_is_left_alone(discovery: Discovery, content: object) -> None:
    discovery.write("instances", f"dynamo%2Fbackend%2Fgenerate%2F{DEAD}", content)
    before = discovery.names
    assert purge(discovery.directory) == []
    assert discovery.names == before


def test_without_a_directory_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert purge(tmp_path / "none") == []


class TestEntries:
    """`open_port` is this process's, so an entry with it belongs to a living one."""

    @pytest.fixture
    def kept(self, discovery: Discovery, open_port: int) -> Entries:
        discovery.instance(ALIVE, open_port)
        discovery.card(ALIVE)
        discovery.channel(ALIVE, open_port)
        discovery.instance(DEAD, free_port())
        entries = Entries(discovery.directory, lambda: [os.getpid()])
        assert entries.keep() == []
        return entries

    @pytest.fixture
    def wait(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        def later(seconds: float) -> None:
            then = time.time() + seconds
            monkeypatch.setattr(time, "time", lambda: then)

        return later

    def vanish(self, discovery: Discovery, which: str = "v1/*/*") -> None:
        for path in discovery.directory.glob(which):
            path.unlink()

    def test_what_expired_is_written_again_as_it_was(self, discovery: Discovery, kept: Entries, wait: Wait) -> None:
        own = {path: path.read_bytes() for path in discovery.directory.glob("v1/*/*") if DEAD not in path.name}
        self.vanish(discovery)
        wait(12)
        assert kept.keep() == sorted(path.name for path in own)
        assert {path: path.read_bytes() for path in discovery.directory.rglob("*") if path.is_file()} == own
        assert kept.keep() == [], "they are there again"

    def test_what_a_worker_took_back_itself_stays_away(self, discovery: Discovery, kept: Entries, wait: Wait) -> None:
        self.vanish(discovery)
        wait(4)
        assert kept.keep() == []
        wait(12)
        assert kept.keep() == [], "also when it drains for long"
        assert discovery.names == set()
        assert kept.withdrew

    @pytest.mark.parametrize("which", ["", "v1", "v1/instances"])
    @pytest.mark.parametrize("is_made_anew", [False, True])
    def test_what_was_removed_with_its_directory_is_written_again(
        self, discovery: Discovery, kept: Entries, which: str, is_made_anew: bool
    ) -> None:
        """Restoring never undoes a removal on purpose; another worker's entry may exist again by then."""
        before = {name for name in discovery.names if DEAD not in name[1]}
        for _ in range(3):
            shutil.rmtree(discovery.directory / which)
            if is_made_anew and which != "v1/instances":
                discovery.instance(DEAD, free_port())
            assert kept.keep()
            assert discovery.names >= before
            assert kept.keep() == []
        assert not kept.withdrew
        kept.close()

    def test_a_part_that_expired_is_written_again_too(self, discovery: Discovery, kept: Entries, wait: Wait) -> None:
        self.vanish(discovery, "v1/instances/*")
        wait(12)
        assert len(kept.keep()) == 1

    def test_one_without_any_entry_is_known_as_such(self, tmp_path: Path, kept: Entries) -> None:
        assert not kept.is_unknown
        never = Entries(tmp_path / "other", lambda: [os.getpid()])
        assert never.keep() == []
        assert never.is_unknown

    def test_nothing_is_written_that_was_never_there(self, tmp_path: Path) -> None:
        assert Entries(tmp_path, lambda: [os.getpid()]).keep() == []


class TestWhatElseLiesThere:
    """Others may have put anything into the directory: it does not affect the entries."""

    def litter(self, discovery: Discovery) -> None:
        instances = discovery.directory / "v1" / "instances"
        instances.mkdir(parents=True, exist_ok=True)
        os.mkfifo(instances / f"fifo%2F{DEAD}")
        (instances / f"directory%2F{DEAD}").mkdir()
        (instances / f"loop%2F{DEAD}").symlink_to(f"loop%2F{DEAD}")
        (instances / f"nowhere%2F{DEAD}").symlink_to("/nowhere")
        (instances / f"nonsense%2F{DEAD}").write_bytes(b'\xff{"tcp": "x:99999999", "address": "x:65536", "tcp": "x:0"')
        (discovery.directory / "v1" / "mdc").write_text("a file in the way")
        (discovery.directory / "v1" / "empty").mkdir()

    def test_the_dead_go_all_the_same(self, discovery: Discovery) -> None:
        self.litter(discovery)
        before = discovery.names
        gone = discovery.instance(DEAD, free_port())
        assert purge(discovery.directory) == [gone]
        assert discovery.names == before

    def test_the_living_are_kept_all_the_same(
        self, discovery: Discovery, open_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.litter(discovery)
        name = discovery.instance(ALIVE, open_port)
        entries = Entries(discovery.directory, lambda: [os.getpid()])
        assert entries.keep() == []
        (discovery.directory / "v1" / "instances" / name).unlink()
        then = time.time() + 12
        monkeypatch.setattr(time, "time", lambda: then)
        assert entries.keep() == [name]

    @pytest.mark.parametrize("linked", ["", "v1", "v1/instances"])
    def test_nothing_is_removed_where_a_link_leads(self, tmp_path: Path, linked: str) -> None:
        elsewhere = Discovery(tmp_path / "elsewhere")
        elsewhere.instance(DEAD, free_port())
        before = elsewhere.names
        link = tmp_path / "own" / linked
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(elsewhere.directory / linked)
        assert purge(tmp_path / "own") == []
        assert elsewhere.names == before

    def test_a_draft_that_is_a_fifo_is_not_waited_for(
        self, discovery: Discovery, open_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = discovery.instance(ALIVE, open_port)
        entries = Entries(discovery.directory, lambda: [os.getpid()])
        entries.keep()
        (discovery.directory / "v1" / "instances" / name).unlink()
        os.mkfifo(discovery.directory / ".again")
        then = time.time() + 12
        monkeypatch.setattr(time, "time", lambda: then)
        assert entries.keep() == [name]

    def test_where_one_cannot_be_written_again_the_rest_is(
        self, discovery: Discovery, open_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        discovery.channel(ALIVE, open_port)
        name = discovery.instance(ALIVE, open_port)
        entries = Entries(discovery.directory, lambda: [os.getpid()])
        entries.keep()
        shutil.rmtree(discovery.directory / "v1")
        (discovery.directory / "v1").mkdir()
        (discovery.directory / "v1" / "event_channels").write_text("a file in the way")
        then = time.time() + 12
        monkeypatch.setattr(time, "time", lambda: then)
        with pytest.raises(OSError, match="event_channels"):
            entries.keep()
        assert discovery.names == {("instances", name)}


FORBIDDEN = f"""
import json, os, sys, tempfile
from pathlib import Path
from dynkv.reclaim.discovery import purge
{BECOME_NOBODY}
with tempfile.TemporaryDirectory(dir="/tmp") as directory:
    os.chmod(directory, 0o755)
    for kind in ("instances", "event_channels"):
        (Path(directory) / "v1" / kind).mkdir(parents=True)
        entry = Path(directory) / "v1" / kind / "x%2Fabc"
        entry.write_text(json.dumps({{"tcp": f"127.0.0.1:{{sys.argv[1]}}"}}))
    (Path(directory) / "v1" / "instances" / "secret%2Fabc").touch(0o600)
    (Path(directory) / "v1" / "closed").mkdir(0o700)
    os.chown(Path(directory) / "v1" / "event_channels", {NOBODY}, {NOBODY})
    if os.fork() == 0:
        become_nobody()
        complaints = []
        gone = purge(Path(directory), complaints.append)
        print(json.dumps([gone, complaints]), flush=True)
        os._exit(0)
    os.wait()
"""


@as_root
def test_what_may_not_be_removed_is_told_and_the_rest_goes() -> None:
    gone, [complaint] = told(FORBIDDEN, str(free_port()))
    assert gone == ["x%2Fabc"]
    assert complaint.startswith("x%2Fabc cannot be removed: [Errno 13] Permission denied")
