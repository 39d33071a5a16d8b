"""What a chip's reset logic does: starts the chip again with the right cause, and keeps what survives.

One thread per board. The chip's process ends itself (soft reset), asks to be ended (machine.reset, its watchdog, a
power cut in the room), or is ended from here when its watchdog runs out in the host's time: at the prompt, where no
virtual time passes, and on the wall clock.
"""

import os
import queue
import re
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sourdine_board.twin import bare
from sourdine_board.twin.life import Life
from sourdine_board.twin.port import Port
from sourdine_board.twin.registers import NAMES, Registers

TICK_MS = 20
DRAIN_MS = 5
BOOT_MS = {"SOFT": 20}  # of the board's time; every other reset goes through the ROM
ROM_MS = 300
RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
PROMPT = b"\r\n>>> "
BANNER = re.compile(rb"; linux \[[^]]*\] version")  # MicroPython's words for the machine that it was built for
SOFT_REBOOT = b"MPY: soft reboot\r\n"


class Supervisor(threading.Thread):
    """Runs until stop(). `on_event` gets every trace event, `on_console` what the chip prints; both on this thread."""

    def __init__(
        self, state: Path, chip: dict, on_event: Callable[[dict], None], on_console: Callable[[bytes], None]
    ) -> None:
        super().__init__(name="board", daemon=True)
        self.port = Port(state / "tty")
        self.registers = Registers(state / "registers", fresh=True)
        self.error: BaseException | None = None
        self._state = state
        self._chip = chip  # what every life is told
        self._on_event = on_event
        self._on_console = on_console
        self._orders: queue.Queue[tuple[Callable[[], None], threading.Event]] = queue.Queue()
        self._ear, self._bell = os.pipe()
        self._going = True
        self._life: Life | None = None
        self._bare: bare.Bare | None = None
        self._raw = False  # the raw REPL is up
        self._tail = b""
        self._swallow = False  # the friendly banner of a chip that was restarted into the raw REPL
        self._held = b""  # of that banner
        self._fed = (0, 0.0)  # watchdog's feeds, and when that number was new
        self._usb_left: int | None = None  # bytes until the cable is pulled

    # Called from other threads.

    def do(self, order: Callable[[], None]) -> None:
        """Run something on this thread and wait for it."""
        done = threading.Event()
        self._orders.put((order, done))
        os.write(self._bell, b".")
        while not done.wait(0.1):
            if not self.is_alive():
                raise RuntimeError("the board's supervisor has ended") from self.error

    def stop(self) -> None:
        """Power off."""
        if self.is_alive():
            self.do(self._stop)
        self.join()

    def power_on(self, chip: dict, between: Callable[[], None]) -> None:
        """Power-cycle; the chip's time begins at 0. `between` is called while it is off."""
        self._chip = chip

        def order() -> None:
            self._end_life()
            between()
            self.registers.clear(*NAMES)
            self._start("PWRON")

        self.do(order)

    def pull_usb(self, after_bytes: int) -> None:
        """The cable comes out, at once or when a client has sent so many bytes more."""

        def order() -> None:
            self._usb_left = after_bytes
            self._count_usb(0)

        self.do(order)

    @property
    def chip_process(self) -> int:
        """Process id of the present life."""
        assert self._life
        return self._life.process.pid

    # On this thread.

    def run(self) -> None:
        try:
            while self._going:
                self._turn()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._end_life()
            self.port.unplug()

    def _stop(self) -> None:
        self._going = False

    def _turn(self) -> None:
        client = self.port.client()
        room_for_output = self.port.flush()
        poll = select.poll()
        poll.register(self._ear, select.POLLIN)
        life = self._life
        if life:
            poll.register(life.trace, select.POLLIN)
            if room_for_output:
                poll.register(life.console, select.POLLIN | (0 if life.flush() or not life.ready else select.POLLOUT))
        if client:
            wanted = select.POLLIN if not life or not life.unread else 0
            poll.register(self.port.fileno(), wanted | (select.POLLOUT if self.port.waiting else 0))
        ready = dict(poll.poll(TICK_MS))
        if self._ear in ready:
            os.read(self._ear, 1)
            order, done = self._orders.get()
            order()
            done.set()
            return
        if client and ready.get(self.port.fileno(), 0) & select.POLLIN:
            self._from_client(self.port.read())
        if self._bare:
            self.port.write(self._bare.say(time.monotonic()))
        if life:
            self._from_chip(life, ready)
            self._watch()

    def _from_client(self, data: bytes) -> None:
        if self._life:
            self._life.type(data)
        self._count_usb(len(data))

    def _count_usb(self, sent: int) -> None:
        if self._usb_left is not None:
            self._usb_left -= sent
            if self._usb_left <= 0:
                self._usb_left = None
                self.port.unplug()

    def _from_chip(self, life: Life, ready: dict[int, int]) -> None:
        if life.console in ready:
            data = life.read_console()
            if data is None:
                self._died(life)
                return
            self._print(data)
        if life.trace in ready:
            for event in life.read_trace():
                self._obey(life, event)

    def _died(self, life: Life) -> None:
        """The process ended by itself: Ctrl-D at a prompt, or a Ctrl-C that it did not survive."""
        for event in life.read_trace():
            self._on_event(event)
        typed = life.unread
        status = life.end()
        self._life = None
        if not life.ready:
            raise RuntimeError(f"the chip's process ended with status {status} before it was a chip: {self._tail!r}")
        if status == 0:
            self._print(SOFT_REBOOT)
        self._start("SOFT", raw=self._raw and status == 0, run_main=status == 0 and not self._raw, typed=typed)

    def _listen(self, life: Life) -> None:
        """Take what was printed up to now; the kernel carries it over a little later than the trace."""
        poll = select.poll()
        poll.register(life.console, select.POLLIN)
        while poll.poll(DRAIN_MS) and (data := life.read_console()):
            self._print(data)

    def _obey(self, life: Life, event: dict) -> None:
        kind = event["kind"]
        if kind in ("end", "repl", "reset"):
            self._listen(life)
        if kind == "isig":
            life.interrupts(event["on"])
            life.answer()
            return
        self._on_event(event)
        if kind == "ready":
            life.ready = True
            if self._swallow:
                life.type(b"\x01")
            life.answer()
            life.flush()
        elif kind == "usb_out":
            self.port.unplug()
            life.answer()
        elif kind == "usb_in":
            self.port.plug()
            life.answer()
        elif kind == "reset":
            self._reset(event["cause"], event["off_ms"])

    def _reset(self, cause: str, off_ms: int = 0) -> None:
        self._end_life()
        if cause == "SOFT":
            self._print(SOFT_REBOOT)
        else:
            self._print(bare.banner(self._chip["profile"]["chip"], cause))
            self.registers.clear("wdt_ms", "radio")
            if cause in ("PWRON", "BROWNOUT"):
                self.registers.put("rtc_us", -int(self.registers.get("now_us")))
        self._start(cause, off_ms)

    def _start(
        self, cause: str, off_ms: int = 0, *, raw: bool = False, run_main: bool = True, typed: bytes = b""
    ) -> None:
        self.registers.clear("repl")
        if self._chip.get("bare"):
            self._bare = bare.Bare(self._chip["profile"]["chip"])
            return
        boot_ms = BOOT_MS.get(cause, ROM_MS)
        life = {"cause": cause, "off_ms": off_ms, "boot_ms": boot_ms, "run_main": run_main}
        self._raw = False
        self._swallow = raw
        self._held = self._tail = b""
        self._life = Life({**self._chip, **life}, self._state / "chip.json")
        self._life.type(typed)

    def _end_life(self) -> None:
        if self._life:
            life, self._life = self._life, None
            life.end()

    def _print(self, data: bytes) -> None:
        if self._swallow:
            self._held += data
            start = self._held.find(b"MicroPython ")
            raw = self._held.find(b"raw REPL", start)
            if start < 0 or raw < 0:
                return
            data = self._held[:start] + self._held[raw:]
            self._swallow = False
        data = BANNER.sub(b"; " + self._chip["machine"].encode(), data)
        self._tail = (self._tail + data)[-200:]
        raw, friendly = self._tail.rfind(RAW_PROMPT), self._tail.rfind(PROMPT)
        if raw != friendly:
            self._raw = raw > friendly
        self.port.write(data)
        self._on_console(data)

    def _watch(self) -> None:
        """The watchdog in the host's time."""
        allowed_ms = self.registers.get("wdt_ms")
        guarded = allowed_ms and (self._chip["clock"] == "wall" or self.registers.get("repl"))
        feeds, since = self._fed
        now = time.monotonic()
        if not guarded or feeds != self.registers.get("wdt_feeds"):
            self._fed = (int(self.registers.get("wdt_feeds")), now)
        elif (now - since) * 1000 > allowed_ms:
            us = self.registers.get("now_us")
            self._on_event({"us": us, "kind": "watchdog"})
            self._on_event({"us": us, "kind": "reset", "cause": "WDT", "off_ms": 0})
            self._reset("WDT")
