"""A simulated board: real MicroPython behind a pty, on the circuit of this repository.

with Board(folder) as board:
    subprocess.run(["mpremote", "connect", board.tty, "fs", "ls", ":"])
    board.play(room)
    board.wait("end")
"""

import fcntl
import json
import threading
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sourdine_board import circuit
from sourdine_board.mistake import Mistake
from sourdine_board.twin.room import load, stage
from sourdine_board.twin.supervisor import Supervisor

HEAP = 448 << 10  # bytes for the firmware: a 64-bit object is twice the chip's size
OWN_HEAP = 80 << 10  # bytes that the twin's own parts take of MicroPython's heap
CONSOLE_MAX = 256 << 10  # bytes of the console that are kept
PROMPT_S = 10.0  # a program that has been over for so long will not bring what is waited for


class Ended(Exception):
    """The program on the board is over, so what is waited for will not come. The text has the console's last lines."""


class Board:
    """The twin of one board. All its state (flash, NVS, trace, sound) lies in a folder of the host.

    profile  "s3" or "esp32"
    clock    "virtual": in a room, time passes only when the program waits. "wall": it is the host's.
    bare     True: the chip has no MicroPython
    """

    def __init__(
        self, state: Path | str, profile: str = "s3", clock: str = "virtual", *, heap: int = HEAP, bare: bool = False
    ) -> None:
        if profile not in circuit.PROFILES:
            raise Mistake(f"there is no board `{profile}`; there is {', '.join(circuit.PROFILES)}")
        self.state = Path(state).resolve()
        self.state.mkdir(parents=True, exist_ok=True)
        self.trace: list[dict[str, Any]] = []  # events of this power-on, in order
        self.console = b""  # the last of what the chip printed
        self._clock = clock
        self._watchers: list[Any] = []
        self._changed = threading.Condition()
        self._chip = self._describe(circuit.PROFILES[profile], heap) | {"bare": bare}

    @property
    def flash_image(self) -> Path:
        """The data partition: a bare littlefs of 4 KiB blocks."""
        return self.state / "flash.img"

    @property
    def tty(self) -> str:
        """The serial port; the same path for as long as the board lives."""
        return str(self.state / "tty")

    @property
    def chip_process(self) -> int:
        """Process id of the chip's present life, for tests that harm it."""
        return self._supervisor.chip_process

    @property
    def running(self) -> bool:
        """Whether the board has power; False only after a fault of the twin itself."""
        return self._supervisor.is_alive()

    def __enter__(self) -> Self:
        self._lock()
        self._supervisor = Supervisor(self.state, self._chip, self._on_event, self._on_console)
        self._supervisor.start()
        self._power_on(stage(None, self.state / "idle"), "wall")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._supervisor.stop()
        self._log.close()
        self._owned.close()

    def play(self, room: Path | str, clock: str | None = None) -> None:
        """Power-cycle the board into a room (TOML); its time 0 is now. clock: another than the board's own, this once."""
        self._power_on(stage(load(Path(room)), self.state / "room"), clock or self._clock)

    def wait(self, kind: str, timeout: float = 60, *, after: int = 0, **fields: object) -> dict[str, Any]:
        """The first event of this kind (and with these fields) from trace[after] on; waits for it in host seconds.

        Raises TimeoutError, and Ended if the program is over.
        """
        end = time.monotonic() + timeout
        over = None
        with self._changed:
            while True:
                for event in self.trace[after:]:
                    if event["kind"] == kind and all(event.get(name) == value for name, value in fields.items()):
                        return event
                now = time.monotonic()
                if not self._supervisor.is_alive():
                    raise RuntimeError("the board's supervisor has ended") from self._supervisor.error
                over = (over or now) if self._supervisor.registers.get("repl") else None
                if over and now - over > PROMPT_S and kind != "repl":
                    raise Ended(f"no `{kind}`: the board is at its prompt\n{self._last_lines()}")
                if now > end:
                    raise TimeoutError(f"no `{kind}` within {timeout} s\n{self._last_lines()}")
                self._changed.wait(0.2)

    def watch(self, on_event: Any = None, on_console: Any = None) -> None:
        """Have every event, or every piece of console output, told as it comes; on the board's own thread."""
        self._watchers.append((on_event, on_console))

    def unplug(self, after_bytes: int = 0) -> None:
        """Pull the USB cable's data lines: now, or when a client has sent so many bytes more."""
        self._supervisor.pull_usb(after_bytes)

    def plug(self) -> None:
        """Put the cable back."""
        self._supervisor.do(self._supervisor.port.plug)

    def heard(self) -> bytes:
        """What the microphone delivered since the room began, s16le; sample n is the room's n."""
        return (self.state / "room" / "heard.pcm").read_bytes()

    def spoken(self) -> bytes:
        """What the speaker played, s16le on the same time axis, as far as it goes."""
        return (self.state / "room" / "speaker.pcm").read_bytes()

    def _lock(self) -> None:
        """One board per folder, or two chips would write one flash."""
        self._owned = (self.state / "lock").open("w")
        try:
            fcntl.flock(self._owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Mistake(f"another twin runs in {self.state}; end it, or choose another --state") from None
        self._log = (self.state / "trace.jsonl").open("w")

    def _describe(self, profile: circuit.Profile, heap: int) -> dict[str, Any]:
        if not self.flash_image.exists():
            self.flash_image.write_bytes(b"\xff" * profile.flash_bytes)
        home = self.state / "home"
        home.mkdir(exist_ok=True)
        return {
            "profile": {
                "chip": profile.chip,
                "forbidden": profile.forbidden,
                "input_only": profile.input_only,
                "adc1": profile.adc1,
                "gpios": profile.gpios,
            },
            "machine": f"Sourdine's twin of {profile.board} with {profile.chip}",
            "pins": profile.pins,
            "circuit": {
                "pump": circuit.pump(),
                "sense_uv": circuit.sense_uv(),
                "button_us": circuit.BUTTON_CUT_MS * 1000,
                "power_cut_us": circuit.POWER_CUT_MS * 1000,
                "startup_frames": circuit.MIC_STARTUP_FRAMES,
            },
            "mac": f"240ac4{zlib.crc32(self.state.name.encode()) & 0xFFFFFF:06x}",
            "flash": str(self.flash_image),
            "nvs": str(self.state / "nvs.json"),
            "home": str(home),
            "register_page": str(self.state / "registers"),
            "heap": OWN_HEAP + heap,
        }

    def _power_on(self, room: dict[str, Any], clock: str) -> None:
        self._supervisor.power_on(self._chip | {"room": room, "clock": clock, "seed": room["seed"]}, self._forget)

    def _forget(self) -> None:
        with self._changed:
            self.trace = []

    def _on_event(self, event: dict[str, Any]) -> None:
        with self._changed:
            self.trace.append(event)
            self._log.write(json.dumps(event) + "\n")
            self._log.flush()
            self._changed.notify_all()
        for on_event, _ in self._watchers:
            if on_event:
                on_event(event)

    def _on_console(self, data: bytes) -> None:
        self.console = (self.console + data)[-CONSOLE_MAX:]
        for _, on_console in self._watchers:
            if on_console:
                on_console(data)

    def _last_lines(self) -> str:
        return "\n".join(self.console.decode(errors="replace").splitlines()[-20:])
