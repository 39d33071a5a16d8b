"""The second stage: a larger net that is asked now and then about the last features, and answers in slices.

The features are kept in a ring in the net's own arena, beside its input: remember() writes one there, begin()
copies all of them to the input in their order. So what is heard while it thinks waits for the next question.
"""

from array import array

from sourdine import int8, spec
from sourdine.graph import check
from sourdine.plan import NOTHING, SLICE
from sourdine.tflite import Net

ROW = spec.CHANNELS  # bytes of one feature
TURN = 7 * SLICE // 4  # the most that one advance() may cost: 6 ms at 240 MHz; listening takes 2 to 3 of 10
UNHEARD = 0  # what fills a feature that was never there: the zero point -128, as the arena holds it


class Verifier(Net):
    """A net without a state, int8 [1, features, 40] → one probability; `data` and ModelError as for tflite.Net.

    stride  features that an answer is about
    slices  calls of advance() that an answer takes, each of TURN
    """

    STRIDE_MAX = 150  # 1.5 s, and a ring of 6,000 bytes
    MACS_MAX = 1_000_000
    CUT = SLICE // 4  # the finer, the fuller a turn

    def _ask_room(self, plan, features):
        return plan.block(self.stride * ROW, keep=True), features.write(plan)[0]

    def _take_places(self, places):
        check(self.states == 0, "a second stage keeps no state")
        ring, target = [block.place for block in places]
        size = self.stride * ROW
        self._first, self._end = ring, ring + size
        self._row = array("i", [ring, ROW])  # of int8.take: where the next feature goes, over the oldest one
        self._order = array("i", [1, ring, 0, target, 0, size, 1, ring, 0, target, 0, size, 1])  # of int8.move
        self._none = array("i", [1, ring, size, UNHEARD])  # of int8.fill
        self.slices = left = 0
        for cost in self._costs:
            if not self.slices or cost > left:
                self.slices += 1
                left = TURN
            left -= cost

    def reset(self):
        self._next = -1
        self._row[0] = self._first
        int8.fill(self._arena, NOTHING, self._none)
        Net.reset(self)

    def remember(self, features):
        """One more feature, int8[40], over the oldest one. Allocates nothing."""
        row = self._row
        int8.take(self._arena, features, row)
        at = row[0] + ROW
        row[0] = at if at < self._end else self._first

    def begin(self):
        """Ask about the features until now; advance() answers. A question that was not answered yet is dropped."""
        order, first, oldest = self._order, self._first, self._row[0]
        old = self._end - oldest  # bytes from the oldest to the end of the ring; the others follow from its start
        order[0] = 1 if oldest == first else 2
        order[1] = oldest
        order[5] = old
        order[9] = order[3] + old
        order[11] = oldest - first
        int8.move(self._arena, NOTHING, order)
        self._next = 0

    def advance(self, budget=TURN):
        """As much of the answer as `budget` pays for, but one call at least: the probability when done, before that -1.

        A call costs up to plan.SLICE, which is about so many multiplications. Allocates nothing.
        """
        at = first = self._next
        if first < 0:
            raise ValueError("nothing was asked")
        while at == first or budget >= self._costs[at]:
            kernel, constants, table = self._calls[at]
            kernel(self._arena, constants, table)
            budget -= self._costs[at]
            at += 1
            if at == len(self._calls):
                self._next = -1
                return self._arena[self._score]
        self._next = at
        return -1
