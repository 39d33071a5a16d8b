"""Calls of the loop that puts samples into an uplink slot."""

from collections.abc import Iterator

import numpy as np

from chip.definitions import outbox as plain
from chip.vectors.calls import RANDOM, Calls, calls
from chip.vectors.values import drawn

SLOT, BLOCK = 654, 160  # int16 of a slot, header included; of the microphone's block


@calls("outbox")
def copy(random: np.random.Generator) -> Iterator[Calls]:
    def case(at, skip, count):
        calls = len(at)
        slot = random.integers(-32768, 32768, (calls, SLOT)).astype(np.int16)
        samples = drawn(random, (calls, BLOCK), -32768, 32767).astype(np.int16)
        return Calls(calls, (slot, at, samples, skip, count), {0: plain.copy(slot, at, samples, skip, count)})

    whole = np.array(
        [[SLOT - BLOCK, 0, BLOCK], [0, 0, BLOCK], [0, BLOCK, 0], [SLOT, BLOCK, 0], [SLOT - 1, BLOCK - 1, 1]]
    )
    yield case(*whole.T)
    for start in range(0, 10_000, 1000):
        count = random.integers(0, BLOCK + 1, 1000) >> (start // 1000 % 4) * 2
        yield case(random.integers(0, SLOT - count + 1), random.integers(0, BLOCK - count + 1), count).of(RANDOM)
