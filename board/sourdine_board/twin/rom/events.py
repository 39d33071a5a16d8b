"""What befalls the board: the room's timeline of presses, cable pulls, stalls and power cuts."""

from clock import NEVER, clock, watchdog
from host import CONFIG, ask, die, pause, registers, trace
from relay import relay

_ROOM = CONFIG["room"]
_POWER_CUT_US = int(CONFIG["circuit"]["power_cut_us"])
BROWNOUT_MS = 200  # the supply sags for so long


class World:
    """What the room does to the board: fields are what is true now."""

    def __init__(self):
        self.access_point = True  # the house's Wi-Fi is on the air
        self.cable = True  # and leads somewhere
        self.action = False  # the action button is down
        self.listeners = []  # called with the name of what changed: "wifi", "cable"
        self.stop = None  # called before the chip dies
        self._events = _ROOM["events"]
        self._length = _ROOM["us"] or NEVER
        self._over = clock.now >= self._length
        self.program = False  # boot.py or main.py runs
        pressed = welded = False
        for event in self._events[: registers.events]:  # of earlier lives
            what = event["do"]
            pressed = what == "press" or (pressed and what != "release")
            welded = welded or what == "weld"
            self._set(what)
        relay.recall(pressed, welded)
        self.due = 0
        self._plan()

    def happen(self):
        """The next event of the timeline, or its end."""
        if registers.events == len(self._events):
            self._over = True
            self._plan()
            trace(clock.now, "end")
            self.rest()
            return
        event = self._events[registers.events]
        registers.events += 1
        self._plan()
        what = event["do"]
        if what == "press" or what == "release":
            relay.press(what == "press")
        elif what == "weld":
            trace(clock.now, "weld")
            relay.weld()
        elif what == "stall":
            trace(clock.now, "stall", ms=event["ms"])
            clock.block(clock.now + event["ms"] * 1000)
        elif what == "hang":
            trace(clock.now, "hang")
            self._hang()
        elif what == "power_cycle":
            die("PWRON", off_ms=event["ms"])
        elif what == "brownout":
            trace(clock.now, "brownout")
            die("BROWNOUT", off_ms=BROWNOUT_MS)
        elif what == "usb_out" or what == "usb_in":
            ask(what)
        else:
            self._set(what)
            kind = what.split("_")[0]
            trace(clock.now, kind, event=what)
            for listener in self.listeners:
                listener(kind)

    def _set(self, what):
        if what == "wifi_down" or what == "wifi_up":
            self.access_point = what == "wifi_up"
        elif what == "cable_out" or what == "cable_in":
            self.cable = what == "cable_in"
        elif what == "action_down" or what == "action_up":
            self.action = what == "action_down"

    def _plan(self):
        if registers.events < len(self._events):
            self.due = self._events[registers.events]["us"]
        else:
            self.due = NEVER if self._over else self._length

    def _hang(self):
        """The CPU loops somewhere: nothing runs but the peripherals, until the watchdog bites."""
        while not self._over:
            nearest = NEVER
            for thing in clock.things:
                nearest = min(nearest, thing.due)
            if nearest == NEVER:
                pause(20)
            else:
                clock.block(nearest)

    def pass_by(self):
        """A program that ended by itself leaves the chip to the room, until its end or an interrupt."""
        self.program = False
        if self._over or self._length == NEVER:
            return
        try:
            clock.until(self._length)
        except KeyboardInterrupt:
            pass

    def rest(self):
        """After the end of a room, a program's time stands still until somebody interrupts it."""
        while self._over and self.program and not clock.wall:
            pause(20)


def reset(cause):
    """The chip resets itself. Does not return."""
    world.stop()
    die(cause)


def bite():
    """The watchdog's."""
    trace(clock.now, "watchdog")
    reset("WDT")


def revive(cause, off_ms, boot_ms):
    """The time in which the chip was without power, or in its ROM: pins float, the microphone's contact falls."""
    if cause != "SOFT":
        if cause == "PWRON":
            relay.unplug(_POWER_CUT_US)
        else:
            relay.edge(0)
    clock.block(clock.now + (off_ms + boot_ms) * 1000)
    if cause == "SOFT" and registers.wdt_ms:
        watchdog.start(registers.wdt_ms, bite)


world = World()
clock.add(world, first=True)
