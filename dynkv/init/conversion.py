"""A profile made from a script or a manifest, and what was left out."""

from __future__ import annotations

from msgspec import Struct, field

from dynkv.bash.shell import Remark
from dynkv.init.draft import Draft
from dynkv.init.given import Argument
from dynkv.secrets import masked


class Conversion(Struct):
    draft: Draft = field(default_factory=Draft)
    left_out: list[Remark] = field(default_factory=list)
    """What the source does and the profile does not, by line."""
    planned: set[str] = field(default_factory=set)
    """Options and variables that dynkv sets itself."""

    def leave_out(self, line: int, text: str) -> None:
        self.left_out.append(Remark(line, masked(text)))

    def put_in_order(self) -> None:
        """Sort what was left out by line, without duplicates."""
        self.left_out.sort(key=lambda remark: remark.line)
        self.left_out = list(dict.fromkeys(self.left_out))

    def put_number(self, key: str, argument: Argument, line: int) -> None:
        if argument.number is None:
            self.leave_out(line, f"{argument.shown()}: set {key} to the number you want")
        else:
            self.draft.put(key, argument.number, f"line {line}: {argument.name}")

    def text(self, file: str, verb: str = "init --from-script") -> str:
        """The profile, below a comment on what of the file that `verb` read was left out."""
        head = [f"From {file}, by `dynkv {verb}`."]
        if self.left_out:
            head += ["", f"Not carried over, or changed, by line of {file}:"]
            head += [f"  {remark.line}: {remark.text}" for remark in self.left_out]
        if self.planned:
            head += ["", "dynkv sets these itself: " + ", ".join(sorted(self.planned)) + "."]
        return self.draft.text(head)
