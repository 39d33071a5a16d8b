"""The mute circuit: heartbeat, charge pump, relay, button. All numbers come from board/sourdine_board/circuit.py.

A rising edge of the heartbeat brings the reservoir a share of the voltage it lacks; a resistor bleeds it all the
time; the relay pulls in above one voltage and lets go below another, both with a lag. The pin's edges are rounded by
an RC, which is why 5 kHz never holds, and the bleed is why 15 Hz does not. The button breaks supply and coil at once.
"""

import math

from clock import NEVER, clock
from host import CONFIG, registers, trace

_PUMP = CONFIG["circuit"]["pump"]
_SHARE = _PUMP["share"]
_LOGIC = _PUMP["logic"]
_DIODES = _PUMP["diodes"]
_BLEED_US = (_PUMP["low_us"], _PUMP["high_us"])
_FILTER_US = _PUMP["filter_us"]
_PICK = _PUMP["pick"]
_DROP = _PUMP["drop"]
_LAG_US = int(_PUMP["lag_us"])
_BUTTON_US = int(CONFIG["circuit"]["button_us"])


class Relay:
    """The contact between the microphone and the chip."""

    def __init__(self):
        self.due = NEVER
        self.level = registers.heartbeat  # of the heartbeat's pin
        self.pressed = False  # the button is in
        self.welded = False
        self.closed = bool(registers.closed)  # what the microphone has: supply, clocks and data line
        self.on_change = None  # called with the new state
        self._pulled = self.closed  # the armature
        self.supplied = True  # the button's contacts: to microphone and coils
        self._volts = registers.pump_v  # of the reservoir at the last edge, before the charge of a rising one
        self._edge_us = registers.edge_us
        self._pin_v = _LOGIC * self.level  # behind the RC, at the last edge
        self._pull_us = NEVER  # when the armature arrives
        self._button_us = NEVER  # when the button's contacts have moved
        self._plan()

    def edge(self, level):
        """The heartbeat's pin changes to `level` now."""
        if level == self.level:
            return
        now = clock.now
        since = now - self._edge_us
        rounded = math.exp(-since / _FILTER_US)
        target = _LOGIC * self.level
        pin_v = target + (self._pin_v - target) * rounded
        if level:
            self._volts *= math.exp(-since / _BLEED_US[0])
        else:  # what the high that ends here brought, and what bled meanwhile
            self._volts = self._charged(pin_v) * math.exp(-since / _BLEED_US[1])
        self._pin_v = pin_v
        self._edge_us = registers.edge_us = now
        registers.pump_v = self._volts
        self.level = registers.heartbeat = level
        self._plan()

    def volts(self):
        """Of the reservoir, now."""
        since = clock.now - self._edge_us
        start = self._charged(_LOGIC) if self.level else self._volts
        return start * math.exp(-since / _BLEED_US[self.level])

    def press(self, pressed):
        """The button goes in (muted) or out."""
        self.pressed = pressed
        trace(clock.now, "button", pressed=pressed)
        self._button_us = clock.now + _BUTTON_US
        self._plan()

    def weld(self):
        """The contact sticks, whatever the coil does."""
        self.welded = True
        self._tell()

    def unplug(self, cut_us):
        """The 5 V are gone: the armature falls after `cut_us`."""
        self._volts = registers.pump_v = 0.0
        self.level = registers.heartbeat = 0
        self._edge_us = clock.now
        self.due = clock.now + cut_us if self._pulled else NEVER

    def recall(self, pressed, welded):
        """After a reset: what stands as before."""
        self.pressed = pressed
        self.supplied = not pressed
        self.welded = welded

    def happen(self):
        """Something mechanical arrives."""
        now = clock.now
        if now >= self._button_us:
            self._button_us = NEVER
            self.supplied = not self.pressed
            if not self.supplied:
                self._pulled = False
        if now >= self._pull_us:
            self._pull_us = NEVER
            self._pulled = self.supplied and self.volts() >= _DROP
        elif self._pulled and self.volts() < _DROP:
            self._pulled = False
        self._tell()
        self._plan()

    def _charged(self, pin_v):
        lacking = pin_v - self._pin_v - _DIODES - self._volts
        return self._volts + _SHARE * lacking if lacking > 0 else self._volts

    def _plan(self):
        volts = self.volts()
        if self._pulled:
            bleed_us = _BLEED_US[self.level]
            due = clock.now + 1
            if volts > _DROP:
                due += int(bleed_us * math.log(volts / _DROP)) + _LAG_US
        else:
            if volts < _PICK or not self.supplied:
                self._pull_us = NEVER
            elif self._pull_us == NEVER:
                self._pull_us = clock.now + _LAG_US
            due = self._pull_us
        self.due = min(due, self._button_us)
        clock.soon(self.due)

    def _tell(self):
        closed = self.supplied and (self._pulled or self.welded)
        if closed != self.closed:
            self.closed = closed
            registers.closed = int(closed)
            trace(clock.now, "contact", closed=closed, index=clock.now * 16 // 1000)
            if self.on_change:
                self.on_change(closed)


relay = Relay()
clock.add(relay)
