"""A room: what is said in it and what happens to the board, read from TOML and rendered to samples.

seconds = 30.0               # whole length
seed = 1                     # of the noise
noise_dbfs = -66.0           # background, pink; without it only the microphone's own noise
marks = true                 # the last bit of every sample tells its index (twin/marks.py)
[[sound]]
at = 1.0                     # seconds
file = "talk.wav"            # beside the TOML file, or absolute; whatever soundfile reads
gain_db = -6.0
label = "private"
[[event]]
at = 12.0
do = "press"                 # the mute button goes in; EVENTS has the others
[costs]                      # microseconds that one call of a method takes on the chip
"sourdine.frontend.Frontend.feed" = 2000
"ssl.SSLSocket.handshake" = 500000     # the same for C code, in which no timer's callback runs: a TLS handshake, …
"ssl.SSLSocket.write" = 5000           # … one record, …
"esp32.NVS.commit" = 30000             # … a write to flash
[probes]                     # an attribute to trace after each call of a method
"sourdine.wake.Wake.hear" = "score"
[speaker]
coupling_db = -26.0          # how loud the microphone hears the speaker
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from sourdine import spec
from sourdine_board.mistake import Mistake

RATE = spec.SAMPLE_RATE
EVENTS = {
    "press": "the mute button goes in",
    "release": "and comes out",
    "action_down": "the action button",
    "action_up": "is let go",
    "wifi_down": "the access point goes off the air",
    "wifi_up": "and comes back",
    "cable_out": "behind the access point: packets vanish both ways, connections stay open",
    "cable_in": "the way is free again",
    "stall": "the CPU is busy for `ms`: no timers, no reads; DMA runs on",
    "hang": "the program hangs until the watchdog bites",
    "power_cycle": "the power is cut for `ms` (1000)",
    "brownout": "the supply sags and the chip starts again",
    "weld": "the relay's contact sticks",
    "usb_out": "the USB data lines are cut",
    "usb_in": "and joined again",
}
DEFAULT_MS = {"power_cycle": 1000}
SELF_NOISE_DBFS = -87.0 + 6.02 * (16 - spec.MIC_SHIFT)  # INMP441: -26 dBFS at 94 dB SPL, 61 dB(A) below that
IDLE_S = 4.0  # the loop of a board without a room
COUPLING_DB = -26.0
FULL = 32_768


@dataclass(frozen=True)
class Sound:
    at: float  # seconds
    file: Path
    gain_db: float
    label: str
    seconds: float


@dataclass(frozen=True)
class Event:
    at: float  # seconds
    do: str
    ms: int


@dataclass(frozen=True)
class Room:
    seconds: float
    seed: int = 1
    noise_dbfs: float | None = None
    marks: bool = False
    coupling_db: float = COUPLING_DB
    sounds: tuple[Sound, ...] = ()
    events: tuple[Event, ...] = ()
    costs: dict[str, int] = field(default_factory=dict)
    probes: dict[str, str] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        return round(self.seconds * RATE)


class _Table:
    """A TOML table that is read key by key; what is left over in the end is a mistake."""

    def __init__(self, where: str, table: dict[str, Any]) -> None:
        self.where = where
        self._table = dict(table)

    def take(self, key: str, kind: type | tuple[type, ...], default: object = None) -> Any:
        if key not in self._table and default is None:
            raise Mistake(f"{self.where} needs `{key}`")
        value = self._table.pop(key, default)
        if value is not default and (not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool)):
            raise Mistake(f"{self.where}: `{key}` cannot be {value!r}")
        return value

    def done(self) -> None:
        if self._table:
            raise Mistake(f"{self.where} has an unknown key: `{next(iter(self._table))}`")


NUMBER = (int, float)


def load(path: Path) -> Room:
    """Read a room. Raises Mistake, one line, for whatever is wrong with it."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise Mistake(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(f"{path} is not TOML: {error}") from error
    top = _Table(str(path), table)
    seconds = top.take("seconds", NUMBER)
    if not 0 < seconds <= 3600:
        raise Mistake(f"{path}: a room lasts more than 0 and at most 3600 seconds, not {seconds}")
    speaker = _Table(f"{path}: [speaker]", top.take("speaker", dict, {}))
    coupling_db = speaker.take("coupling_db", NUMBER, COUPLING_DB)
    speaker.done()
    sounds = [_sound(path, at, entry, seconds) for at, entry in enumerate(top.take("sound", list, []))]
    events = [_event(path, at, entry, seconds) for at, entry in enumerate(top.take("event", list, []))]
    noise = top.take("noise_dbfs", NUMBER, ())  # no number is no noise
    room = Room(
        seconds=float(seconds),
        seed=top.take("seed", int, 1),
        noise_dbfs=float(noise) if noise != () else None,
        marks=top.take("marks", bool, False),
        coupling_db=float(coupling_db),
        sounds=tuple(sounds),
        events=tuple(sorted(events, key=lambda event: event.at)),
        costs=_methods(path, "costs", top.take("costs", dict, {}), int),
        probes=_methods(path, "probes", top.take("probes", dict, {}), str),
    )
    top.done()
    return room


def _methods(path: Path, name: str, table: dict[str, Any], kind: type) -> dict[str, Any]:
    for method, value in table.items():
        if method.count(".") < 2 or not isinstance(value, kind):
            raise Mistake(f'{path}: [{name}] takes lines like "package.module.Class.method" = {kind(1)!r}')
    return table


def _sound(path: Path, number: int, entry: dict[str, Any], seconds: float) -> Sound:
    table = _Table(f"{path}: [[sound]] {number + 1}", entry)
    at = table.take("at", NUMBER)
    file = path.parent / table.take("file", str)
    try:
        info = soundfile.info(file)
    except (soundfile.LibsndfileError, OSError) as error:
        raise Mistake(f"{table.where}: cannot read {file} as sound; is it there, and WAV, FLAC, MP3 or Ogg?") from error
    length = info.frames / info.samplerate
    if at < 0 or at + length > seconds + 1e-3:
        raise Mistake(
            f"{table.where}: {file.name} runs from {at} to {at + length:.2f} s, but the room ends at {seconds} s"
        )
    sound = Sound(float(at), file, float(table.take("gain_db", NUMBER, 0.0)), table.take("label", str, ""), length)
    table.done()
    return sound


def _event(path: Path, number: int, entry: dict[str, Any], seconds: float) -> Event:
    table = _Table(f"{path}: [[event]] {number + 1}", entry)
    at, do = table.take("at", NUMBER), table.take("do", str)
    if do not in EVENTS:
        raise Mistake(f"{table.where}: nothing is called `{do}`; there is {', '.join(EVENTS)}")
    if not 0 <= at <= seconds:
        raise Mistake(f"{table.where}: `{do}` at {at} s is outside of the room, which ends at {seconds} s")
    ms = table.take("ms", int, DEFAULT_MS.get(do)) if do in DEFAULT_MS or do == "stall" else 0
    table.done()
    return Event(float(at), do, ms)


def read_sound(file: Path) -> np.ndarray:
    """A recording as float32 samples at RATE, mono, full scale 1."""
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE)


def pink(n: int, generator: np.random.Generator) -> np.ndarray:
    """Noise of n samples and RMS 1 with equal power per octave above 20 Hz."""
    spectrum = np.fft.rfft(generator.standard_normal(n))
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    spectrum /= np.sqrt(np.maximum(hertz, 20.0))
    noise = np.fft.irfft(spectrum, n)
    return noise / (np.sqrt(np.mean(noise**2)) or 1.0)


def render(room: Room) -> np.ndarray:
    """What the microphone would deliver with its contact closed and the speaker silent, int16[room.samples]."""
    generator = np.random.default_rng(room.seed)
    mixed = 10 ** (SELF_NOISE_DBFS / 20) * generator.standard_normal(room.samples)
    if room.noise_dbfs is not None:
        mixed += 10 ** (room.noise_dbfs / 20) * pink(room.samples, generator)
    for sound in room.sounds:
        start = round(sound.at * RATE)
        samples = read_sound(sound.file)[: room.samples - start]
        mixed[start : start + len(samples)] += 10 ** (sound.gain_db / 20) * samples
    pcm = np.clip(np.rint(mixed * FULL), -FULL, FULL - 1).astype(np.int16)
    return mark(pcm) if room.marks else pcm


def mark(pcm: np.ndarray) -> np.ndarray:
    """The same with every sample's last bit replaced by the mark of its index."""
    from sourdine_board.twin import marks  # only rooms that ask for marks need them

    return (pcm & ~1) | marks.bits(len(pcm)).astype(np.int16)


def stage(room: Room | None, folder: Path) -> dict[str, Any]:
    """Write the files of a room, or of the quiet of none, into a folder; returns what rom/ is told of it."""
    folder.mkdir(parents=True, exist_ok=True)
    pcm = folder / "room.pcm"
    told: dict[str, Any] = {"pcm": str(pcm), "loop": room is None}
    if room is None:
        render(Room(seconds=IDLE_S)).tofile(pcm)
        return told | _told(Room(seconds=0.0)) | {"heard": None, "speaker": None}
    render(room).tofile(pcm)
    for name in ("heard", "speaker"):
        file = folder / f"{name}.pcm"
        file.write_bytes(b"")
        told[name] = str(file)
    return told | _told(room)


def _told(room: Room) -> dict[str, Any]:
    return {
        "us": round(room.seconds * 1e6),
        "events": [{"us": round(event.at * 1e6), "do": event.do, "ms": event.ms} for event in room.events],
        "costs": room.costs,
        "probes": room.probes,
        "coupling_q12": round(4096 * 10 ** (room.coupling_db / 20)),
        "marked": int(room.marks),
        "seed": room.seed,
    }
