"""Time on the board, and everything that happens when it passes.

One engine, two clocks. Virtual: time moves only when the program waits (reads, sleeps, declared costs), so a loaded
host changes nothing. Wall: the same, but it moves with the host's clock, and waiting takes that long.

A *thing* has `due` (µs since power-on, NEVER) and `happen()`. Things happen in order of time, then of their place in
the list, whenever time moves past them.
"""

import sys

from host import CONFIG, real_time, registers, trace

NEVER = 1 << 60
STALLED_US = 50_000  # wall: a program that was away for longer was stuck, and its timers did not run
QUEUE = 8  # callbacks that wait while C code runs; more are dropped (MICROPY_SCHEDULER_DEPTH of the ESP32 port)


class Clock:
    """The board's time. Nothing here is called from more than one place at once: there are no threads."""

    def __init__(self):
        self.now = registers.now_us
        self.next = 0  # not later than the earliest due
        self.things = []
        self.wall = CONFIG["clock"] == "wall"
        self.hold = None  # virtual: called before time moves past hold_us, while an answer is awaited
        self.hold_us = 0
        self._base = real_time.ticks_us() - self.now
        self._masked = 0
        self._queue = []

    def add(self, thing, first=False):
        """Let a thing happen from now on."""
        self.things.insert(0, thing) if first else self.things.append(thing)
        self.next = 0

    def soon(self, due):
        """Say that some thing's due moved to an earlier time."""
        self.next = min(self.next, due)

    def charge(self, us):
        """The CPU works for so long. On the wall clock it just did."""
        if self.wall:
            self._catch_up()
            return
        to = self.now + us
        if to >= self.next or self.hold:
            self.until(to)
        else:
            self.now = registers.now_us = to

    def sleep(self, us):
        """The program waits, and callbacks run."""
        if self.wall:
            self._catch_up()
        self.until(self.now + us)

    def block(self, to):
        """C code waits until `to`, and callbacks do not run before it returns."""
        self.enter_c()
        try:
            self.until(to)
        finally:
            self.leave_c()

    def enter_c(self):
        """C code runs from here on, and callbacks wait."""
        self._masked += 1

    def leave_c(self):
        """C code returns: the callbacks that waited run, all at once."""
        self._masked -= 1
        while self._queue and not self._masked:
            self.call(*self._queue.pop(0))

    def until(self, to):
        """Move time on to `to`, letting things happen on the way."""
        if self.hold and to >= self.hold_us:
            self.hold()
        while self.next <= to:
            first = None
            due = NEVER
            for thing in self.things:
                if thing.due < due:
                    due = thing.due
                    first = thing
            self.next = due
            if due > to:
                break
            if due > self.now:
                self._wait(due)
                self.now = registers.now_us = due
            self.next = 0
            first.happen()
        if to > self.now:
            self._wait(to)
            self.now = registers.now_us = to

    def call(self, callback, argument):
        """A callback from the scheduler: soon if callbacks run at all, and its exceptions stay with it."""
        if self._masked:
            if len(self._queue) < QUEUE:
                self._queue.append((callback, argument))
            return
        self._masked += 1
        try:
            callback(argument)
        except Exception as error:  # noqa: BLE001  whatever the program raises is its own affair
            sys.print_exception(error)
        finally:
            self._masked -= 1

    def _wait(self, to):
        while self.wall:
            left_us = to - (real_time.ticks_us() - self._base)
            if left_us <= 0:
                return
            real_time.sleep_us(min(20_000, left_us))

    def _catch_up(self):
        now = real_time.ticks_us() - self._base
        if now - self.now > STALLED_US and not self._masked:
            trace(self.now, "stall", ms=(now - self.now) // 1000)
            self.block(now)
        elif now > self.now:
            self.until(now)


clock = Clock()


class Timer:
    """machine.Timer: periodic or once, soft callbacks."""

    ONE_SHOT = 0
    PERIODIC = 1
    _all = {}  # noqa: RUF012  id -> Timer

    def __new__(cls, id=-1, **options):
        timer = cls._all.get(id)
        if timer is None:
            timer = cls._all[id] = object.__new__(cls)
            timer.due = NEVER
            clock.add(timer)
        return timer

    def __init__(self, id=-1, **options):
        if options:
            self.init(**options)

    def init(self, *, mode=1, freq=None, period=-1, callback=None, hard=False):
        """Start; `freq` in Hz or `period` in ms."""
        clock.charge(0)
        self._period_us = int(1_000_000 / freq) if freq else period * 1000
        if self._period_us <= 0:
            raise ValueError("period")
        self._again = mode == Timer.PERIODIC
        self._callback = callback
        self.due = clock.now + self._period_us
        clock.soon(self.due)

    def deinit(self):
        """Stop."""
        self.due = NEVER

    def happen(self):
        """One tick."""
        self.due = self.due + self._period_us if self._again else NEVER
        if self._callback:
            clock.call(self._callback, self)


class Watchdog:
    """machine.WDT: once started it bites when it is not fed, whatever the program does."""

    def __init__(self):
        self.due = NEVER
        self._bite = None

    def start(self, timeout_ms, bite):
        """Start, or change the time allowed."""
        self._bite = bite
        registers.wdt_ms = timeout_ms
        self.feed()

    def feed(self):
        """Begin the time allowed anew."""
        registers.wdt_feeds += 1
        # At the prompt no virtual time passes, and on the wall clock a hung program calls nothing: there the
        # supervisor counts, in the host's time.
        guarded = registers.repl or clock.wall or not self._bite
        self.due = NEVER if guarded else clock.now + registers.wdt_ms * 1000
        clock.soon(self.due)

    def happen(self):
        """Bite."""
        self._bite()


watchdog = Watchdog()
clock.add(watchdog)
