"""Every real recording through the board's ears, the reference's, and pymicro-wakeword's; what each of them heard.

python benchmarks/ears.py [--data DIR] [--out build/ears]

Device: the firmware's frontend, models and wake rule in MicroPython. Reference: pymicro-features → tflite-micro
under the same manifest and rule. They must agree on every clip, or this exits 1. pymicro-wakeword runs the same
models in LiteRT with XNNPACK and a rule of its own; where it decides differently, the cause is found by trial:

    arithmetic   its rule, fed with our probabilities, decides as we do
    first second our rule without the rest after a start decides as it does
    cutoff       what remains: it compares in 256ths of full scale and we in 255ths, as ESPHome does

Every clip gets a second and a half of faint noise before it, because after a start the first second is deaf,
and half a second after. Also measured: host time per second of audio, RAM and flash of each model.
"""

import argparse
import csv
import itertools
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import viper

viper.install()  # before the firmware is imported: on CPython its kernels are the checked ones
import ears
from sourdine import spec, wake

LEAD, TAIL = 3 * spec.SAMPLE_RATE // 2, spec.SAMPLE_RATE // 2  # samples of faint noise around a clip
FAINT = 3.0  # its standard deviation, in steps of 16 bits: about -81 dBFS
WORDS = {"alexa": "alexa"}  # folders whose recordings hold a model's whole word (those of "jarvis" lack the "hey")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/dev/positive", help="WORD/CLIP.flac")
    parser.add_argument("--out", type=Path, default=ROOT / "build/ears", help="where ears.csv and ears.md go")
    options = parser.parse_args()
    paths = sorted(options.data.glob("*/*"))
    if not paths:
        print(f"no recordings under {options.data}: nothing to compare")
        return 0
    began = time.perf_counter()
    clips = [framed(path, i) for i, path in enumerate(paths)]
    manifests = [ears.models() / f"{name}.json" for name in ears.NAMES]
    job = {"manifests": manifests, "samples": np.concatenate(clips), "lengths": [len(clip) for clip in clips]}
    [device] = ears.micropython([job], timeout_s=3600)
    rows = [ears.features(clip) for clip in clips]
    differing, lines, table = 0, [], []
    for i, name in enumerate(ears.NAMES):
        heard = grouped(device["wakes"][i], len(clips))
        judged = Judge(name)
        verdicts = []
        for path, clip_rows, wakes in zip(paths, rows, heard, strict=True):
            verdict = judged.judge(clip_rows, wakes)
            differing += wakes != verdict["reference"]
            verdicts.append(verdict)
            lines.append([f"{path.parent.name}/{path.name}", name, *map(shown, (wakes, verdict["reference"]))])
            lines[-1] += [verdict["package"], verdict["cause"]]
        table.append(summary(name, paths, heard, verdicts))
    seconds = sum(map(len, clips)) / spec.SAMPLE_RATE
    text = report(table, device, seconds, len(paths), differing, footprints())
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "ears.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "model", "device", "reference", "pymicro-wakeword", "cause of the difference"])
        writer.writerows(lines)
    (options.out / "ears.md").write_text(text)
    print(text)
    print(f"{time.perf_counter() - began:.0f} s; clip by clip in {options.out / 'ears.csv'}")
    return 1 if differing else 0


def framed(path: Path, seed: int) -> np.ndarray:
    """The clip as int16 at 16 kHz between faint noises, whole blocks long."""
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == spec.SAMPLE_RATE, path
    random = np.random.default_rng(seed)
    tail = TAIL + -len(samples) % spec.HOP
    noise = [np.round(random.normal(0, FAINT, n)).astype(np.int16) for n in (LEAD, tail)]
    return np.concatenate([noise[0], samples[:, 0], noise[1]])


def grouped(wakes: list[list[int]], clips: int) -> list[list[list[int]]]:
    """[[clip, feature, score], ...] → for each clip [[feature, score], ...]."""
    out = [[] for _ in range(clips)]
    for clip, row, score in wakes:
        out[clip].append([row, score])
    return out


def shown(wakes: list[list[int]]) -> str:
    return " ".join(f"{row}:{score}" for row, score in wakes)


class Judge:
    """One model's word: what the reference and the package hear in a clip, and why the latter differs."""

    def __init__(self, name: str):
        from pymicro_wakeword import MicroWakeWord, Model

        manifest = ears.models() / f"{name}.json"
        self._manifest = json.loads(manifest.read_text())
        self._reference = ears.Reference((manifest.parent / self._manifest["model"]).read_bytes())
        self._package = MicroWakeWord.from_builtin(Model(name))

    def judge(self, rows: np.ndarray, wakes: list[list[int]]) -> dict:
        """`wakes` are the device's; rows its features as int8."""
        self._reference.reset()
        ours = self._reference.run(rows)
        theirs, package = self._by_package(rows)
        verdict = {"reference": self._decide(ours), "package": package, "cause": "", "arithmetic": 0}
        verdict["arithmetic"] = max((abs(a - b) for a, b in zip(ours, theirs, strict=True)), default=0)
        if package != bool(wakes):
            if self._as_package(ours) == bool(wakes):
                verdict["cause"] = f"arithmetic: LiteRT's probabilities differ by up to {verdict['arithmetic']} of 255"
            elif bool(self._decide(ours, rest=0)) == package:
                verdict["cause"] = "first second"
            else:
                verdict["cause"] = "cutoff"
        return verdict

    def _decide(self, probabilities: list[int], rest: int = wake.REST) -> list[list[int]]:
        """Our rule on these probabilities: [[feature, score], ...]."""
        listener = wake.Wake(self._manifest, Played(probabilities))
        listener._rest = rest
        found = []
        for row in range(3 * len(probabilities)):
            if listener.hear(None):
                found.append([row, listener.score])
        return found

    def _by_package(self, rows: np.ndarray) -> tuple[list[int], bool]:
        """(probabilities 0..255, whether it woke) of pymicro-wakeword on the same features."""
        self._package.reset()
        exact = (rows.astype(np.float32) - ears.ZERO) * ears.SCALE
        probabilities, woke = [], False
        for i, row in enumerate(exact):
            woke |= bool(self._package.process_streaming(row.reshape(1, 1, -1)))
            if i % 3 == 2:
                probabilities.append(round(self._package._probabilities[-1] * 256))
        return probabilities, woke

    def _as_package(self, probabilities: list[int]) -> bool:
        """The package's rule on these probabilities: any full window whose mean of 256ths exceeds the cutoff."""
        micro = self._manifest["micro"]
        size = micro["sliding_window_size"]
        windows = zip(*(probabilities[i:] for i in range(size)), strict=False)
        return any(statistics.mean(p / 256 for p in window) > micro["probability_cutoff"] for window in windows)


class Played:
    """Probabilities known beforehand, in the place of a model."""

    def __init__(self, probabilities: list[int]):
        self._gaps = itertools.cycle([True, True, False])
        self._probabilities = iter(probabilities)

    def feed(self, _: object) -> int:
        return -1 if next(self._gaps) else next(self._probabilities)


def summary(name: str, paths: list[Path], heard: list, verdicts: list[dict]) -> list[object]:
    word = WORDS.get(name)
    own = [bool(wakes) for path, wakes in zip(paths, heard, strict=True) if path.parent.name == word]
    other = [bool(wakes) for path, wakes in zip(paths, heard, strict=True) if path.parent.name != word]
    causes = [verdict["cause"].split(":")[0] for verdict in verdicts if verdict["cause"]]
    why = ", ".join(f"{causes.count(cause)} {cause}" for cause in sorted(set(causes))) or "-"
    differ = sum(wakes != verdict["reference"] for wakes, verdict in zip(heard, verdicts, strict=True))
    package = sum(verdict["package"] for verdict in verdicts)
    mine = f"{sum(own)}/{len(own)}" if own else "-"
    return [name, mine, f"{sum(other)}/{len(other)}", differ, package, len(causes), why]


def footprints() -> list[dict]:
    """RAM and times of each model in MicroPython, over a minute of noise."""
    rows = ears.features(np.random.default_rng(0).integers(-3000, 3000, 60 * spec.SAMPLE_RATE).astype(np.int16))
    files = [ears.models() / f"{name}.tflite" for name in ears.NAMES]
    results = ears.micropython([{"model": file, "features": rows} for file in files])
    return [
        dict(result, name=file.stem, flash=file.stat().st_size) for file, result in zip(files, results, strict=True)
    ]


def report(table: list, device: dict, seconds: float, clips: int, differing: int, sizes: list[dict]) -> str:
    out = [
        f"{clips} clips, {seconds:.0f} s with the noise around them; {differing} decisions of the device differ.",
        "",
        "| model | own word | other words | differ from reference | package woke | package differs | why |",
        "|---|---|---|---|---|---|---|",
        *("| " + " | ".join(map(str, row)) + " |" for row in table),
        "",
        f"Frontend: {device['frontend_us'] / seconds / 1000:.2f} ms of host time per second of audio.",
        "",
        "| model | ms per s of audio, with its rule | MAC/step | flash | RAM (64-bit) | of it weights | arena |",
        "|---|---|---|---|---|---|---|",
    ]
    for spent, size in zip(device["us"], sizes, strict=True):
        cells = [size["name"], f"{spent / seconds / 1000:.2f}"]
        cells += [f"{size[key]:,}" for key in ("macs", "flash", "ram", "weights", "arena")]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    sys.exit(main())
