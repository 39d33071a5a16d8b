"""How often each instruction of a function ran, as the plugin in count.c counted it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Counts:
    """Of the last call, or of all calls of the last batch.

    `pcs` is the executions by offset in `code`; `taken` says how often execution went on elsewhere than at the next
    instruction: taken branches, jumps, calls and returns, and the last instruction of a hardware loop, which costs
    nothing.

    `helpers` are calls and instructions of each helper by its name in MicroPython. These run in the harness's own C,
    written with the same steps and compiled by clang, not in the chip's firmware, and without what a helper would call
    in its turn: arithmetic is about as on the chip, and from_object and to_object, once per argument and result, are a
    lower bound. Hence `instructions` is exact for the function and approximate for its helpers.
    """

    code: bytes
    pcs: dict[int, int]
    taken: dict[int, int]
    helpers: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def own(self) -> int:
        """Instructions in the function's own code."""
        return sum(self.pcs.values())

    @property
    def helped(self) -> int:
        """Instructions in the helpers it called."""
        return sum(instructions for _, instructions in self.helpers.values())

    @property
    def instructions(self) -> int:
        return self.own + self.helped
