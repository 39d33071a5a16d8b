"""A plan: kernel calls over one arena, which is laid out so that blocks in use at the same time never overlap.

Filled in two strides: operators ask for blocks of the arena, for constants and for calls; then every block gets
its place, and the calls their tables. After that nothing allocates. Caps bound what any model file may cost the
board in memory and time.
"""

import gc
from array import array

from sourdine import int8
from sourdine.flatbuffer import ModelError

ARENA_MAX = 49_152  # bytes of tensors, states and accumulators; a microWakeWord model takes 8 to 12 thousand
ARENA_USUAL = 8_192
WEIGHTS_MAX = 196_608  # bytes of constants
CALLS_MAX = 512
VARIABLES_MAX = 32
COPIES_MAX = 1_024
MACS_MAX = 250_000  # multiplications a step: at 14 cycles each, half of a 240 MHz chip for a step of 30 ms
MOVES_MAX = 262_144  # bytes copied a step
SLICE = 65_536  # the most that one call may cost: 3 ms at 240 MHz. 1 is about a multiplication in int8.dense()
NOTHING = bytes(4)  # constants of a kernel that has none


def tidy():
    """On the board, collect garbage: so what lasts lies close together and leaves room for large buffers."""
    if hasattr(gc, "mem_free"):
        gc.collect()


class Block:
    """`size` bytes of the arena, in use from call `first` to call `last`; kept for ever if `first` is None."""

    def __init__(self, size, first):
        self.size = size
        self.first = self.last = first
        self.place = None


class Plan:
    """Everything that is added refers to the arena as (block, offset in it).

    macs_max  multiplications that a step may take
    cut       what is larger is cut into calls that cost up to so much, where its parts allow it
    costs     of each call, in units of SLICE
    """

    def __init__(self, macs_max=None, cut=None):
        self.macs_max = macs_max or MACS_MAX
        self.cut = cut or SLICE
        self.costs = []
        self.now = 0  # the operator being added: the clock of blocks' lives
        self.macs = 0
        self.weights = 0  # bytes of constants
        self.variables = {}  # name: (block, kind of the tensors it holds)
        self._moved = self._copies = 0
        self._calls = []  # (kernel, constants, list of ints and (block, offset) pairs)
        self._blocks = []
        self._place = bytearray(ARENA_USUAL)  # kept free for the arena while the heap is cut up
        self._loads = []  # (block, its first content)

    def block(self, size, keep=False):
        """A block that lives from now on (until a later use()), or for ever."""
        if size > ARENA_MAX:
            raise ModelError(f"a tensor of {size} bytes; at most {ARENA_MAX} are supported")
        block = Block(size, None if keep else self.now)
        self._blocks.append(block)
        return block

    def use(self, block):
        block.last = self.now

    def variable(self, name, tensor):
        """Block of the variable of this name, which holds what `tensor` holds; made when first asked for."""
        if name not in self.variables:
            if len(self.variables) >= VARIABLES_MAX:
                raise ModelError(f"more than {VARIABLES_MAX} variables")
            self.variables[name] = self.block(tensor.size, keep=True), tensor.kind()
        block, kind = self.variables[name]
        if kind != tensor.kind():
            raise ModelError("a variable changes its size or scale")
        return block

    def constants(self, size):
        """A bytearray for the constants of a call or two: one each, as a board has room for small ones first."""
        self.weights += size
        if self.weights > WEIGHTS_MAX:
            raise ModelError(f"more than {WEIGHTS_MAX} bytes of weights")
        tidy()
        return bytearray(size)

    def load(self, block, content):
        """The first content of a kept block."""
        self._loads.append((block, content))

    def afford(self, macs):
        """ModelError if so many multiplications more would be too many."""
        if self.macs + macs > self.macs_max:
            raise ModelError(f"more than {self.macs_max} multiplications a step")

    def call(self, kernel, constants, items, macs=0, cost=0):
        """A kernel call; items: its table, an address in the arena as (block, offset). It costs macs at least."""
        self.afford(macs)
        self.macs += macs
        if len(self._calls) >= CALLS_MAX:
            raise ModelError(f"more than {CALLS_MAX} calls a step")
        cost = max(cost, macs)
        if cost > SLICE:
            raise ModelError("a part of it takes too long")
        self.costs.append(cost)
        self._calls.append((kernel, constants, items))

    def copy(self, source, step, target, target_step, size, count=1):
        """`count` runs of `size` bytes, from (block, offset) to (block, offset). Neighbouring copies share a call."""
        self._moved += size * count
        self._copies += 1
        if self._moved > MOVES_MAX or self._copies > COPIES_MAX:
            raise ModelError("too much copying for one step")
        cost = size * count // 4
        if not self._calls or self._calls[-1][0] is not int8.move or self.costs[-1] + cost > self.cut:
            self.call(int8.move, NOTHING, [0])
        self.costs[-1] += cost
        items = self._calls[-1][2]
        items[0] += 1
        items.extend((source, step, target, target_step, size, count))

    def finish(self):
        """(arena, calls): a bytearray, and (kernel, constants, int32 table) of each call."""
        size = self._lay_out()
        self._place = None
        tidy()
        arena = bytearray(size)
        for block, content in self._loads:
            arena[block.place : block.place + block.size] = content
        return arena, [(kernel, constants, addresses(items)) for kernel, constants, items in self._calls]

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
        return size + int8.SLACK + 3 & ~3


def _meet(a, b):
    return a.first is None or b.first is None or (a.first <= b.last and b.first <= a.last)


def addresses(items):
    """A kernel's table, once every block has its place."""
    table = [item if isinstance(item, int) else item[0].place + item[1] for item in items]
    if not 0 <= min(table) <= max(table) < 1 << 31:  # MicroPython's array would keep the low bits without a word
        raise ModelError("a size or step is out of range")
    return array("i", table)
