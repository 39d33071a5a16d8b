"""Tries one kernel's machine code with all its vectors.

trial = tried(core, code, ("mel", "root"))
assert trial.mismatches == 0, trial.first
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from chip.vectors import dsp, fft, int8, layers, mel, outbox  # noqa: F401  each fills KERNELS
from chip.vectors.calls import EDGES, HEARD, KERNELS, RANDOM, Calls
from sourdine_tools.chip.core import Core, Fault, Stray

SEED = 1


@dataclass
class Trial:
    """How many calls were made of each kind of values, how many went wrong, and the first of those in words."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((RANDOM, EDGES, HEARD), 0))
    mismatches: int = 0
    first: str = ""

    def __str__(self) -> str:
        counts = ", ".join(f"{count:6} {kind}" for kind, count in self.counts.items())
        return f"{sum(self.counts.values()):6} calls ({counts}): {self.mismatches} mismatches"


@lru_cache(maxsize=1)
def calls_of(kernel: tuple[str, str]) -> list[Calls]:
    """The same for every processor, and these are tried one after the other."""
    return list(KERNELS[kernel](np.random.default_rng(SEED)))


def tried(core: Core, code: bytes, kernel: tuple[str, str]) -> Trial:
    trial = Trial()
    for calls in calls_of(kernel):
        try:
            results, after = core.batch(code, calls.count, *calls.arguments)
        except (Fault, Stray) as error:
            error.add_note("\n".join(given(calls, error.call)))
            raise
        wrong = np.zeros(calls.count, bool) if calls.returns is None else results != calls.returns
        for i, got in zip(buffers(calls), after, strict=True):
            wrong |= differences(calls, i, got).any(axis=1)
        if wrong.any() and not trial.first:
            trial.first = told(calls, int(wrong.argmax()), results, after)
        trial.counts[calls.kind] += calls.count
        trial.mismatches += int(wrong.sum())
    return trial


def buffers(calls: Calls) -> list[int]:
    """Which arguments are a buffer of each call's own."""
    return [i for i, argument in enumerate(calls.arguments) if isinstance(argument, np.ndarray) and argument.ndim == 2]


def differences(calls: Calls, argument: int, got: np.ndarray) -> np.ndarray:
    """Which cells of a buffer, of shape got, hold what they must not."""
    differ = calls.after.get(argument, calls.arguments[argument]) != got
    return differ & ~calls.free[argument] if argument in calls.free else differ


def given(calls: Calls, call: int) -> list[str]:
    """What went into a call, in lines."""
    lines = [f"call {call} of {calls.count} ({calls.kind})"]
    for i, argument in enumerate(calls.arguments):
        value = argument[call] if isinstance(argument, np.ndarray) else argument
        lines.append(f"  argument {i}: {np.array2string(value, threshold=512) if np.ndim(value) else value}")
    return lines


def told(calls: Calls, call: int, results: np.ndarray, after: list[np.ndarray]) -> str:
    """One call: what went in, what was to come out, and what did."""
    lines = given(calls, call)
    if calls.returns is not None and results[call] != calls.returns[call]:
        lines.append(f"  returned {results[call]}, not {calls.returns[call]}")
    for i, got in zip(buffers(calls), after, strict=True):
        expected = calls.after.get(i, calls.arguments[i])[call]
        for at in np.flatnonzero(differences(calls, i, got)[call])[:8]:
            lines.append(f"  argument {i}[{at}] holds {got[call][at]}, not {expected[at]}")
    return "\n".join(lines)
