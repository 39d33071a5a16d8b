"""The frontend on MicroPython, for tests that compare it with the reference.

    micropython tests/portable/features.py SAMPLES OUT [RESET_AT [WEIGHTS]]

SAMPLES is raw int16. OUT gets 120 bytes per frame: 40 raw uint16, then the 40 int8 features. Before block RESET_AT
(default: never) the frontend is reset. WEIGHTS replaces the filterbank's weights (raw uint16). Prints the number of
blocks and the microseconds that one took.
"""

import sys
import time
from array import array

sys.path.insert(0, "firmware")

from sourdine import tables
from sourdine.frontend import Frontend

reset_at = int(sys.argv[3]) if len(sys.argv) > 3 else -1
if len(sys.argv) > 4:
    with open(sys.argv[4], "rb") as file:
        tables.MEL_WEIGHTS = array("H", file.read())
frontend = Frontend()
block = array("h", bytes(320))
blocks = spent_us = 0
with open(sys.argv[1], "rb") as samples, open(sys.argv[2], "wb") as out:
    while samples.readinto(block) == 320:
        if blocks == reset_at:
            frontend.reset()
        start = time.ticks_us()
        features = frontend.feed(block)
        spent_us += time.ticks_diff(time.ticks_us(), start)
        blocks += 1
        if features:
            out.write(frontend.raw)
            out.write(features)
print(blocks, spent_us / blocks)
