"""A profile that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynkv.errors import ProfileError
from dynkv.profile.load import load


def refuse(folder: Path, text: str) -> ProfileError:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError) as refused:
        load(str(file))
    assert refused.value.exit_code == 2
    assert refused.value.hint
    return refused.value
