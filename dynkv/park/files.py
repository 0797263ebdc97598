"""Files in the lot's directory: its lock, its socket, its content, why it ended, and the wish that it end."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from dynkv.documents import decoded, encoded
from dynkv.home import LOT, Place, is_own_directory
from dynkv.host.descriptors import unnamed_file
from dynkv.host.processes import Process, read_process, resident_bytes
from dynkv.locks import take_lock
from dynkv.owned import read_own, write_whole
from dynkv.park.lot import Lot, Parked
from dynkv.short_paths import remove_shortcut

_MAX_BYTES = 16 * 1024 * 1024


class LotPlace:
    """The lot's directory in one DYNKV_HOME."""

    def __init__(self, home: Path) -> None:
        self.place = Place(home, LOT)
        self.directory = self.place.directory
        self.lock = self.place.lock
        self.socket = self.directory / "order.sock"
        self.log = self.place.logs / "parker.log"
        self._lot, self._stop = self.directory / "lot.json", self.directory / "stop"
        self._ended, self._refused = self.directory / "ended", self.directory / "refused"

    def standby_log(self, name: str) -> Path:
        return self.place.logs / f"{name}.log"

    @property
    def is_held(self) -> bool:
        """Whether a parker lives, or the supervisor that it has become."""
        return self.place.has_supervisor()

    def read(self) -> Lot | None:
        """What is parked; None if no parker lives, or it has not reported yet."""
        if not self.is_held:
            return None
        try:
            return decoded(read_own(self._lot, _MAX_BYTES), Lot)
        except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
            return None

    def write(self, lot: Lot) -> None:
        write_whole(self._lot, encoded(lot), self._lot.with_suffix(".draft"))

    def ask_to_stop(self) -> None:
        self._write(self._stop, "")

    @property
    def is_to_stop(self) -> bool:
        return self._stop.exists()

    def begin(self) -> None:
        for path in (self._stop, self._ended, self._refused):
            path.unlink(missing_ok=True)

    def end(self, why: str) -> None:
        """Remove the files of a living parker; the reason why it ended stays."""
        for path in self._of_a_living_one():
            with suppress(OSError):
                path.unlink()
        self._clear_scratch()
        if why:
            self._write(self._ended, why)

    def tidy(self) -> list[Path]:
        """Remove what a killed parker has left; returns the removed paths."""
        if not self.directory.is_dir() or (lock := take_lock(self.lock)) is None:
            return []
        try:
            scratch = self.place.scratch_root
            found = [path for path in (*self._of_a_living_one(), scratch) if os.path.lexists(path)]
            if found:
                self.end("" if self.why_ended else "its parker was killed")
            return found
        finally:
            os.close(lock)

    def _of_a_living_one(self) -> tuple[Path, ...]:
        return self._stop, self._lot, self._refused, self.socket

    def _clear_scratch(self) -> None:
        scratch = self.place.scratch_root
        if is_own_directory(scratch):
            import shutil

            shutil.rmtree(scratch, ignore_errors=True)
        remove_shortcut(self.directory)

    def refuse(self, deployment: str, why: str) -> None:
        self._write(self._refused, f"{deployment} started without what is parked: {why}")

    def accept(self) -> None:
        """Clear an earlier refusal."""
        self._refused.unlink(missing_ok=True)

    @property
    def why_ended(self) -> str:
        return _text(self._ended)

    @property
    def why_refused(self) -> str:
        return _text(self._refused)

    def _write(self, path: Path, text: str) -> None:
        with suppress(OSError):  # it is only informative; without a lot there is nobody to ask
            write_whole(path, text.encode(errors="surrogateescape"), path.with_suffix(".draft"))


def process_of(lot: Lot) -> Process | None:
    process = read_process(lot.pid)
    return process if process is not None and process.start_ticks == lot.start_ticks else None


def resident(it: Parked) -> int:
    """Memory of a standby in bytes; 0 if it does not live."""
    process = read_process(it.pid) if it.pid else None
    return resident_bytes([process]) if process is not None and process.start_ticks == it.start_ticks else 0


def parked_bytes(home: Path) -> int:
    """Memory of all that is parked."""
    lot = LotPlace(home).read()
    return sum(map(resident, lot.parked)) if lot else 0


def in_memory(lot: Lot) -> int:
    """A descriptor of an unnamed file with the lot. Raises OSError."""
    return unnamed_file(encoded(lot), LotPlace(Path(lot.home)).directory)


def from_memory(fd: int) -> Lot:
    """The lot in a file; closes the descriptor."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return decoded(file.read(), Lot)


def _text(path: Path) -> str:
    try:
        return read_own(path, _MAX_BYTES).decode(errors="replace")
    except OSError:
        return ""
