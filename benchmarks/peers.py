"""Ours and the others on the same recordings in one run: the words that peers know, and what was aimed at.

python benchmarks/peers.py [MODEL.json ...] [--on DIR] [--out build/peers] [--workers 2]

Without a MODEL those in firmware/models are judged, each on its word. Negatives are DIR's, and Debian's recorded speech,
music and ambience that nothing is trained on. The first run takes hours, nearly all of them openWakeWord's (a tenth of a
core for each second of sound) and Porcupine's (a hundredth, for each sensitivity); what was heard is kept.
"""

import argparse
import sys
import time
from pathlib import Path

from sourdine_tools.bench import tell
from sourdine_training.evaluate import corpus, judge, pairs, peers, report, text
from sourdine_training.evaluate.result import Judged, Result
from sourdine_training.executor import Executor
from sourdine_training.store import Store

ROOT = Path(__file__).parents[1]
WORDS = ("alexa", "jarvis", "computer", "view_glass")
RATE = "0.5"  # false accepts an hour
CLEAN = 0.05  # misses that are aimed at where nobody else is to be compared with
LATE_MS = (150, 300)  # of the median, and of 95 %


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, help="manifests; those in firmware/models if none is named")
    parser.add_argument("--on", type=Path, default=ROOT.parent / "shared/data/dev", help="recordings of people")
    parser.add_argument("--out", type=Path, default=ROOT / "build/peers", help="where the report goes")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not options.on.exists():
        print(f"{options.on} is not there: no real recordings, nothing to compare")
        return 0
    began, store = time.perf_counter(), Store()
    manifests = options.models or sorted((ROOT / "firmware/models").glob("*.json"))
    ours = [pairs.read(path) for path in manifests if not path.name.endswith(".sourdine.json")]
    with store.using(), Executor.in_process(options.workers) as executor:
        recordings = corpus.read(options.on)
        more, notes = corpus.recorded(store, executor, tell)
        spoken = corpus.words(recordings)
        detectors = []
        for word in dict.fromkeys([*WORDS, *(pair.word for pair in ours if pair.word in spoken)]):
            detectors += [stage for pair in ours if pair.word == word for stage in pair.stages()]
            found, said = peers.every(word)
            detectors += found
            notes += said
        notes += [
            f"nobody says {pair.word!r} in {options.on}: {pair.name} is left out"
            for pair in ours
            if pair.word not in spoken
        ]
        result = judge.evaluate(detectors, recordings, store, executor, tell, notes, more)
    print(text.report(result))
    print("\n".join(["", *aims(result)]))
    print(f"\n{time.perf_counter() - began:.0f} s; {report.write(result, options.out)}")
    return 0


def aims(result: Result) -> list[str]:
    """A line for each thing that was aimed at, and whether it is reached."""
    lines = []
    for judged in (each for each in result.judged if not each.peer and RATE in each.points):
        at, rival = judged.points[RATE], rival_of(judged, result)
        if rival:
            for condition in ("clean", "5 dB"):
                mine, theirs = at.misses[condition].share, rival.points[RATE].misses[condition].share
                what = f"{judged.name}, {condition}: {text.percent(mine)} missed, {rival.name} {text.percent(theirs)}"
                lines.append(said(mine <= theirs, what))
            if judged.costs.macs and rival.costs.macs:
                macs = f"{judged.costs.macs / 1e6:.2f} M multiplications a second, {rival.name} {rival.costs.macs / 1e6:.2f} M"
                lines.append(said(judged.costs.macs <= rival.costs.macs, f"{judged.name}: {macs}"))
        else:
            share = at.misses["clean"].share
            lines.append(said(share <= CLEAN, f"{judged.name}, clean: {text.percent(share)} missed, aim {CLEAN:.0%}"))
        if at.latencies:
            late = [1000 * value for value in text.quantiles(at.latencies)]
            what = f"{judged.name}: {late[0]:.0f} ms late in the median, 95 % within {late[1]:.0f} ms"
            lines.append(said(late[0] <= LATE_MS[0] and late[1] <= LATE_MS[1], what))
    return lines or ["none of ours was judged: train one, or name its manifest"]


def rival_of(judged: Judged, result: Result) -> Judged | None:
    """microWakeWord on the same word: the same format, and about the same size."""
    mine = (each for each in result.judged if each.word == judged.word and each.name == "microWakeWord")
    return next((each for each in mine if RATE in each.points), None)


def said(reached: bool, what: str) -> str:
    return f"{'reached' if reached else 'not yet'}  {what}"


if __name__ == "__main__":
    sys.exit(main())
