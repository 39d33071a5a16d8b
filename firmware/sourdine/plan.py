"""A plan: kernel calls over one arena, which is laid out so that blocks in use at the same time never overlap.

Filled in three strides: operators ask for blocks of the arena, for constants and for calls; then every block
gets its place; then the calls get their tables and the constants their bytes. After that nothing allocates.
Caps bound what any model file may cost the board in memory and time.
"""

from array import array

from sourdine import int8
from sourdine.flatbuffer import ModelError

ARENA_MAX = 49_152  # bytes of tensors, states and accumulators; a microWakeWord model takes 8 to 12 thousand
WEIGHTS_MAX = 196_608  # bytes of constants
CALLS_MAX = 512
COPIES_MAX = 1_024
MACS_MAX = 250_000  # multiplications a step: at 14 cycles each, half of a 240 MHz chip for a step of 30 ms
MOVES_MAX = 262_144  # bytes copied a step


class Block:
    """`size` bytes of the arena, in use from call `first` to call `last`; kept for ever if `first` is None."""

    def __init__(self, size, first):
        self.size = size
        self.first = self.last = first
        self.place = None


class Plan:
    """Everything that is added refers to the arena as (block, offset in it) and to constants as an int."""

    def __init__(self):
        self.now = 0  # the operator being added: the clock of blocks' lives
        self.macs = 0
        self.variables = {}  # name: (block, the tensor that says what it holds)
        self._moved = self._copies = 0
        self._calls = []  # (kernel, list of ints and (block, offset) pairs)
        self._blocks = []
        self._fillers = []  # (filler, offset of its constant, or the block it fills)
        self._size = 0  # of the constants

    def block(self, size, keep=False):
        """A block that lives from now on (until a later use()), or for ever."""
        if size > ARENA_MAX:
            raise ModelError(f"a tensor of {size} bytes; at most {ARENA_MAX} are supported")
        block = Block(size, None if keep else self.now)
        self._blocks.append(block)
        return block

    def use(self, block):
        block.last = self.now

    def constant(self, size, filler):
        """`size` bytes of constants; filler(weights, offset) writes them once there is memory."""
        at = self._size
        self._size += size + 3 & ~3
        if self._size > WEIGHTS_MAX:
            raise ModelError(f"more than {WEIGHTS_MAX} bytes of weights")
        self._fillers.append((filler, at))
        return at

    def preload(self, block, filler):
        """filler(arena, offset) writes this kept block's first content."""
        self._fillers.append((filler, block))

    def call(self, kernel, items, macs=0):
        self.macs += macs
        if self.macs > MACS_MAX:
            raise ModelError(f"more than {MACS_MAX} multiplications a step")
        if len(self._calls) >= CALLS_MAX:
            raise ModelError(f"more than {CALLS_MAX} calls a step")
        self._calls.append((kernel, items))

    def copy(self, source, step, target, target_step, size, count=1):
        """`count` runs of `size` bytes, from (block, offset) to (block, offset). Neighbouring copies share a call."""
        self._moved += size * count
        self._copies += 1
        if self._moved > MOVES_MAX or self._copies > COPIES_MAX:
            raise ModelError("too much copying for one step")
        if not self._calls or self._calls[-1][0] is not int8.move:
            self.call(int8.move, [0])
        items = self._calls[-1][1]
        items[0] += 1
        items.extend((source, step, target, target_step, size, count))

    def finish(self):
        """(arena, weights, [(kernel, table)]) as bytearray, bytearray and int32 arrays."""
        size = self._lay_out()
        weights = bytearray(self._size)
        arena = bytearray(size)
        for filler, at in self._fillers:
            if isinstance(at, Block):
                filler(arena, at.place)
            else:
                filler(weights, at)
        return arena, weights, [(kernel, addresses(items)) for kernel, items in self._calls]

    def _lay_out(self):
        """Give each block its place: the kept ones first, then the largest first, at the lowest gap in its time."""
        size = 0
        placed = []
        for block in sorted(self._blocks, key=lambda block: (block.first is not None, -block.size)):
            place = 0
            for other in placed:  # in the order of their places
                if _meet(block, other):
                    if place + block.size <= other.place:
                        break
                    place = max(place, other.place + other.size + 3 & ~3)
            block.place = place
            index = 0
            while index < len(placed) and placed[index].place <= place:
                index += 1
            placed.insert(index, block)
            size = max(size, place + block.size)
        if size > ARENA_MAX:
            raise ModelError(f"it needs an arena of {size} bytes; at most {ARENA_MAX} are supported")
        return size + 3 & ~3


def _meet(a, b):
    return a.first is None or b.first is None or (a.first <= b.last and b.first <= a.last)


def addresses(items):
    """A kernel's table, once every block has its place."""
    return array("i", [item if isinstance(item, int) else item[0].place + item[1] for item in items])
