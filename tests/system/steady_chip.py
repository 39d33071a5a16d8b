"""main.py of the board in test_steady.py: the firmware, watched from within. steady.json says how:

lock    [s, s] of the board's time: whatever the firmware allocates in a turn then is an error. It is MicroPython's own
        lock, so that garbage which would be freed at once counts, too.
plant   true: every turn makes a list, to see that the watch sees it
meter   [s, s] of the board's time: count the bytes of garbage that the firmware makes in each turn
books   [s, s] of the board's time: compare the microphone's books with the twin's own clock after every turn

The twin's parts, which are Python where the chip has C, are let out of the lock and off the meter, and so is TLS, whose
memory on the chip is not MicroPython's.
"""

import gc
import json
import sys
import time

import machine
import micropython
import network

from sourdine import app, mic, mute, uplink

with open("steady.json") as file:
    HOW = json.load(file)
HEAP = 500_000  # bytes in use at which the twin's garbage is thrown away, while it is metered

clock = machine.clock
ours = False  # whether the firmware runs
locked = metered = False  # whether it may not allocate; whether it is counted what it does
mark = taken = turns = 0
broken = None
held = []  # bytes of the heap in use, garbage apart: before and after
early_us = late_us = work_us = 0  # of the worst fence, either way; of the longest turn, waiting for sound apart
read_us = 0  # when the last read returned


def during(what):
    """Whether the board's time is in a window of steady.json."""
    start, stop = HOW.get(what, (0, 0))
    return start * 1_000_000 <= clock.now < stop * 1_000_000


def enter():
    """The firmware runs from here on."""
    global ours, mark
    ours = True
    if locked:
        micropython.heap_lock()
    elif metered:
        mark = gc.mem_alloc()


def leave():
    """A part of the twin runs from here on. Returns whether the firmware had called it."""
    global ours, taken
    if not ours:
        return False
    ours = False
    if locked:
        micropython.heap_unlock()
    elif metered:
        taken += gc.mem_alloc() - mark
    return True


def let_out(owner, name, takes):
    """Wrap a function or method that takes so many arguments, self included; without any that Python would allocate."""
    original = getattr(owner, name)

    def none():
        back = leave()
        try:
            return original()
        finally:
            if back:
                enter()

    def one(a):
        back = leave()
        try:
            return original(a)
        finally:
            if back:
                enter()

    def two(a, b=None):
        back = leave()
        try:
            return original(a, b)
        finally:
            if back:
                enter()

    def three(a, b, c):
        back = leave()
        try:
            return original(a, b, c)
        finally:
            if back:
                enter()

    def four(a, b, c, d):
        back = leave()
        try:
            return original(a, b, c, d)
        finally:
            if back:
                enter()

    setattr(owner, name, (none, one, two, three, four)[takes])


for owner, name, takes in (
    (time, "ticks_us", 0),
    (time, "ticks_ms", 0),
    (time, "sleep_ms", 1),
    (machine, "bitstream", 4),
    (machine.Pin, "__call__", 2),
    (machine.ADC, "read_uv", 1),
    (machine.I2S, "readinto", 2),
    (machine.I2S, "write", 2),
    (machine.WDT, "feed", 1),
    (network.WLAN, "isconnected", 1),
    (uplink, "_read", 3),
    (uplink, "_write", 2),
):
    let_out(owner, name, takes)

beat, turn, read = mute.Mute.beat, app.App.turn, mic.Mic.read


def watched_beat(self, timer):
    """The timer's callback, which a part of the twin calls."""
    enter()
    try:
        beat(self, timer)
    finally:
        leave()


def timed_read(self):
    global read_us
    samples = read(self)
    read_us = clock.now
    return samples


def booked_turn(self):
    """Whether a fence is never early is a matter of when a frame was captured, which here the clock tells."""
    global early_us, late_us, work_us, turns
    watched_turn(self)
    now = clock.now
    if during("books"):
        turns += 1
        work_us = max(work_us, now - read_us)
        ears = self._mic
        true = (now * 16 + 999) // 1000 - ears._i2s._i2s.end._index0
        ahead_us = (ears.fence() - true) * 125 // 2
        early_us = max(early_us, -ahead_us)
        late_us = max(late_us, ahead_us)
    elif turns:
        books = {"early_us": early_us, "late_us": late_us, "work_us": work_us}
        tell(self, turns=turns, lost=self._mic.lost, reproofs=self._mute.reproofs, **books)
        turns = 0


def watched_turn(self):
    global locked, metered, broken, turns, taken
    if not (locked or metered or during("lock") or during("meter")):
        turn(self)
        return
    was, locked, metered = locked, during("lock") and broken is None, during("meter")
    if was != locked:
        gc.collect()
        held.append(gc.mem_alloc())
    if was and not locked:
        tell(self, turns=turns, broken=broken, held=held)
    if metered:
        if gc.mem_alloc() > HEAP:
            gc.collect()
        gc.disable()  # it shall not run in the firmware's time
    else:
        gc.enable()
    enter()
    try:
        if locked and HOW.get("plant"):
            _ = [clock]
        turn(self)
    except MemoryError as error:
        leave()
        broken = self._state()
        sys.print_exception(error)
    finally:
        leave()
    turns += locked
    if metered:
        tell(self, taken=taken)
        taken = 0


def tell(self, **more):
    link = self._uplink
    about = {"us": clock.now, "state": self._state(), "error": link.error, "connections": link.connections}
    about.update(more)
    print("STEADY " + json.dumps(about))


mute.Mute.beat = watched_beat
app.App.turn = watched_turn
if "books" in HOW:
    mic.Mic.read = timed_read
    app.App.turn = booked_turn
app.main()
