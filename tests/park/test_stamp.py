"""Whether an installation has changed since."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dynkv.children.standby_parked import Origin
from dynkv.park.stamp import change, changed, changed_file, code, installation, newer


def test_what_pip_does_is_noticed(tmp_path: Path) -> None:
    info = tmp_path / "some-1.0.dist-info"
    info.mkdir()
    before = installation(sys.executable, Origin((str(tmp_path),)))
    assert changed(before) == ""
    info.rename(tmp_path / "some-1.1.dist-info")
    assert changed(before) == f"{tmp_path} has changed"


def test_what_importing_leaves_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "module.py").touch()
    before = installation(sys.executable, Origin((str(tmp_path),)))
    (tmp_path / "__pycache__").mkdir()
    assert changed(before) == ""


def test_an_interpreter_that_is_gone_is_noticed(tmp_path: Path) -> None:
    (python := tmp_path / "python").symlink_to(sys.executable)
    before = installation(str(python), Origin())
    python.unlink()
    assert changed(before) == f"{python} is gone"


def test_what_came_while_it_imported_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "module.py").touch()
    module = str(tmp_path / "module.py")
    assert newer(Origin((str(tmp_path),)), time.time() - 60) == module
    assert newer(Origin(files=(module,)), time.time() - 60) == module
    assert not newer(Origin((str(tmp_path),), (module,)), time.time() + 60)


def test_an_edit_deep_within_a_package_is_noticed(tmp_path: Path) -> None:
    (deep := tmp_path / "package" / "deep").mkdir(parents=True)
    (module := deep / "module.py").write_text("a = 1\n")
    origin = Origin((str(tmp_path),), (str(module), str(tmp_path / "never.py")))
    before = installation(sys.executable, origin)
    assert change(before) == ""
    module.write_text("a = 2\n")
    assert changed(before) == "", "a look at the directories does not show it"
    assert change(before) == f"{module} has changed"
    module.unlink()
    assert changed_file(before) == f"{module} is gone"


def test_a_library_that_an_import_has_compiled_is_no_change(tmp_path: Path) -> None:
    (made := tmp_path / "driver.so").touch()
    assert not newer(Origin(files=(str(made),)), time.time() - 60)


def test_dynkv_itself_is_known_by_its_files() -> None:
    assert code() == code()
