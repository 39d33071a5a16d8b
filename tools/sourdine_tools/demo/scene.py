"""A scene: who says what, when, and when the mute button is pressed. It becomes a room that the twin can play."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sourdine import spec
from sourdine_board.mistake import Mistake
from sourdine_tools.demo import voices

PRIVATE, WAKE, COMMAND = "private", "wake", "command"
STARTS = 3.0  # s: the board boots, proves that it can cut its microphone, and links
PAUSE = {PRIVATE: 0.4, WAKE: 0.75, COMMAND: 2.4}  # s after each kind; after a command a person waits for the answer
PROOF = 3.0  # s: after the button is released the board proves the cut again before it listens
NOISE_DBFS = -60.0  # pink, the hum of a quiet room
LONGEST = 12.0  # s: a longer recording is cut
SHORTEST = 0.15  # s: a shorter one holds no word
MARGIN = 0.15  # s kept around the words of a recording
FORMATS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")

PEOPLE = {"Ann": "heart", "Joe": "joe"}  # who → voice

SCRIPT = (  # who, kind, text; or what happens to the button
    ("Joe", PRIVATE, "Did the doctor call you back about the test?"),
    ("Ann", PRIVATE, "She did. Please don't tell anyone yet. Not even my mother."),
    ("Joe", WAKE, "Alexa."),
    ("Joe", COMMAND, "Set a timer for ten minutes."),
    ("Ann", PRIVATE, "The bank said no as well. We may have to sell the house."),
    "press",
    ("Joe", PRIVATE, "Now it is deaf. What did your lawyer say?"),
    ("Ann", WAKE, "Alexa."),
    ("Ann", COMMAND, "Read me the letter from the court."),
    "release",
    ("Ann", WAKE, "Alexa."),
    ("Ann", COMMAND, "Will it rain tomorrow?"),
    ("Joe", PRIVATE, "I love you, whatever they find."),
)


@dataclass(frozen=True)
class Clip:
    """Somebody's recording, as it may go into a room."""

    who: str
    file: Path  # WAV, mono, spec.SAMPLE_RATE


@dataclass(frozen=True)
class Utterance:
    """One recording in the room."""

    at: float  # s, room time
    seconds: float
    kind: str  # PRIVATE, WAKE or COMMAND
    who: str
    text: str
    file: Path  # WAV, mono, spec.SAMPLE_RATE
    muted: bool = False  # said while the button was in


@dataclass
class Scene:
    """Grows from left to right: say(), press() and release() happen one after another."""

    title: str
    seconds: float = STARTS
    seed: int = 1
    noise_dbfs: float = NOISE_DBFS
    utterances: list[Utterance] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)  # (s, "press" or "release")

    def say(self, kind: str, who: str, text: str, file: Path) -> None:
        info = soundfile.info(file)
        muted = bool(self.events) and self.events[-1][1] == "press"
        said = Utterance(round(self.seconds, 3), info.duration, kind, who, text, Path(file), muted)
        self.utterances.append(said)
        self.seconds += info.duration + PAUSE[kind]

    def press(self) -> None:
        self.seconds += 0.3
        self.events.append((round(self.seconds, 3), "press"))
        self.seconds += 0.7

    def release(self) -> None:
        self.events.append((round(self.seconds, 3), "release"))
        self.seconds += PROOF

    def write(self, folder: Path) -> Path:
        """The room file for Board.play()."""
        lines = [f"seconds = {self.seconds:.3f}", f"seed = {self.seed}", f"noise_dbfs = {self.noise_dbfs}"]
        lines += ["marks = true"]
        for said in self.utterances:
            label = f"{said.who}, {said.kind}: {said.text}"
            lines += ["", "[[sound]]", f"at = {said.at}", f"file = {json.dumps(str(said.file.resolve()))}"]
            lines += [f"label = {json.dumps(label)}"]
        for at, do in self.events:
            lines += ["", "[[event]]", f"at = {at}", f'do = "{do}"']
        lines += ["", "[probes]", '"sourdine.wake.Wake.hear" = "score"', ""]
        path = Path(folder) / "room.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    def samples(self) -> np.ndarray:
        """What was said, int16, without the room's noise: for drawing and for listening."""
        mixed = np.zeros(int(self.seconds * spec.SAMPLE_RATE), np.int32)
        for said in self.utterances:
            clip, _ = soundfile.read(said.file, dtype="int16")
            first = round(said.at * spec.SAMPLE_RATE)
            mixed[first : first + len(clip)] += clip[: len(mixed) - first]
        return np.clip(mixed, -32768, 32767).astype(np.int16)


def scripted() -> Scene:
    """The household of SCRIPT, spoken by two neural voices."""
    scene = Scene("Two people talk; sometimes they talk to the speaker")
    for line in SCRIPT:
        if isinstance(line, str):
            getattr(scene, line)()
        else:
            who, kind, text = line
            scene.say(kind, who, text, voices.speak(PEOPLE[who], text))
    return scene


def recorded(talk: list[Clip], wake: list[Clip], command: list[Clip], title: str) -> Scene:
    """Anybody's recordings: talk, wake, command for each wake word; muted, the first ones again; then once more."""
    scene = Scene(title)

    def round_of(i: int) -> None:
        for kind, clips in ((PRIVATE, talk), (WAKE, wake), (COMMAND, command)):
            clip = clips[i % len(clips)]
            scene.say(kind, clip.who, "", clip.file)

    for i in range(len(wake)):
        round_of(i)
    scene.say(PRIVATE, talk[-1].who, "", talk[-1].file)
    scene.press()
    round_of(0)
    scene.release()
    round_of(0)
    return scene


def recordings(folder: Path, into: Path) -> list[Clip]:
    """Every recording in a folder, by name, each called after its file; Mistake if there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise Mistake(f"{folder} is not a folder: name one that holds WAV, FLAC or MP3 recordings")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS)
    if not found:
        raise Mistake(f"{folder} holds no recording: put WAV, FLAC, MP3, Ogg or AIFF files there")
    return [Clip(path.stem, recording(path, into)) for path in found]


def recording(path: Path, into: Path, longest: float = LONGEST, peak: float | None = voices.PEAK) -> Path:
    """One recording of any rate and channels → int16 mono WAV at spec.SAMPLE_RATE in `into`; Mistake if it is none.

    Without the quiet before and after its words, `longest` s at most.
    peak  what it is brought to, of full scale; None leaves the level as it was recorded.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise Mistake(f"{path} cannot be read as audio ({error}): convert it to WAV or remove it") from None
    if len(samples) < SHORTEST * rate:
        raise Mistake(f"{path} lasts {len(samples) / rate:.2f} s, too short for a word: remove it")
    mono = _words(samples.mean(axis=1), rate)[: int(longest * rate)]
    loudest = float(np.abs(mono).max(initial=0))
    if not loudest:
        raise Mistake(f"{path} is silent: record it again or remove it")
    if peak is not None:
        mono = mono * (peak / loudest)
    out = Path(into) / f"{Path(path).parent.name}-{Path(path).stem}.wav"
    out.parent.mkdir(parents=True, exist_ok=True)
    mono = np.clip(soxr.resample(mono, rate, spec.SAMPLE_RATE), -1, 1)
    soundfile.write(out, mono, spec.SAMPLE_RATE, subtype="PCM_16")
    return out


def _words(mono: np.ndarray, rate: int) -> np.ndarray:
    """From shortly before the first sound to shortly after the last that comes within 20 dB of the loudest."""
    block = max(rate // 100, 1)
    loud = np.sqrt((mono[: len(mono) // block * block].reshape(-1, block) ** 2).mean(axis=1))
    near = np.flatnonzero(loud > loud.max(initial=0) / 10)
    if not len(near):
        return mono[:0]
    return mono[max(near[0] * block - int(MARGIN * rate), 0) : (near[-1] + 1) * block + int(MARGIN * rate)]
