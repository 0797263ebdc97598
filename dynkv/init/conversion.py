"""A profile that comes of a script, and what does not."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynkv.bash.shell import Remark
from dynkv.init.draft import Draft
from dynkv.init.given import Argument
from dynkv.secrets import masked


@dataclass(slots=True)
class Conversion:
    draft: Draft = field(default_factory=Draft)
    left_out: list[Remark] = field(default_factory=list)
    """By line, what the profile does not do of what the script does."""
    planned: set[str] = field(default_factory=set)
    """Options and variables that dynkv gives itself."""

    def leave_out(self, line: int, text: str) -> None:
        self.left_out.append(Remark(line, masked(text)))

    def put_number(self, key: str, argument: Argument, line: int) -> None:
        if argument.number is None:
            self.leave_out(line, f"{argument.shown()}: set {key} to the number that it means")
        else:
            self.draft.put(key, argument.number, f"line {line}: {argument.name}")

    def text(self, script: str) -> str:
        """The profile, with what was left out above it."""
        head = [f"From {script}, by `dynkv init --from-script`."]
        if self.left_out:
            head += ["", "Not carried over, or not as it was, by line of the script:"]
            head += [f"  {remark.line}: {remark.text}" for remark in self.left_out]
        if self.planned:
            head += ["", "What dynkv gives by itself stands in no key: " + ", ".join(sorted(self.planned)) + "."]
        return self.draft.text(head)
