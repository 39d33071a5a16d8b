"""What each ingredient buys: the quick tier, and the same without one thing, judged on recordings of people.

python benchmarks/ablation.py [NAME ...] [--phrase alexa] [--seeds 2] [--on DIR] [--out build/ablation]

Every variant is trained --seeds times on the same scenes, a spotter and its verifier by each seed; what is printed is the
mean over them and, in brackets, the least and the greatest. A variant takes some ten minutes for the first seed; what was
made is kept, so killed it goes on, and the table grows with the names that are given.
"""

import argparse
import functools
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sourdine_training import stages
from sourdine_training.apart import apart, silent
from sourdine_training.evaluate import corpus, judge, pairs
from sourdine_training.evaluate.result import Result
from sourdine_training.executor import Executor
from sourdine_training.material import Material
from sourdine_training.recipe import build, settled
from sourdine_training.run import Run
from sourdine_training.store import Store
from sourdine_training.sweep import changed

ROOT = Path(__file__).parents[1]
RATES, CONDITIONS = ("0.5", "1", "2"), ("clean", "10 dB", "5 dB")
ENGINES = ("hibari", "piper", "flite", "festival", "espeak")
VARIANTS: dict[str, dict[str, Any]] = {
    "the tier": {},
    "Kokoro alone says the phrase": {f"voices.{name}": 0 for name in ENGINES},
    "no warped voices": {"voices.warps": 0},
    "nothing near the phrase": {"fit.near": 0.0, "voices.near": 1, "voices.partial": 1},
    "no recordings": {"recordings": False},
    "rooms: lips at the microphone": {"rooms.close": 1.0},
    "rooms: noisier, narrower, farther": {
        "rooms.clean": 0.3, "rooms.equaliser_db": 10.0, "rooms.narrow": 0.3, "rooms.floor_dbfs": (-96.0, -60.0)
    },
    "microphones: what devices do left out": {
        f"rooms.{name}": 0.0 for name in ("agc", "clipped", "gated", "suppressed", "mulaw", "mp3", "click")
    },
    "no moved throats": {"fit.throat": 0.0, "fit_verifier.throat": 0.0},
    "no tilted microphones": {"fit.tilt": 0.0, "fit_verifier.tilt": 0.0},
    "no masks": {
        "fit.time_masks": 0, "fit.band_masks": 0, "fit_verifier.time_masks": 0, "fit_verifier.band_masks": 0
    },
    "no mining": {"fit.mining": ()},
    "quantised only afterwards": {"fit.int8_from": 1.0, "fit_verifier.int8_from": 1.0},
    "half the steps": {"fit.steps": 900, "fit_verifier.steps": 400},
    "twice the steps": {"fit.steps": 3600, "fit_verifier.steps": 1600},
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="variants; all if none is named")
    parser.add_argument("--phrase", default="alexa")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--on", type=Path, default=ROOT.parent / "shared/data/dev", help="recordings of people")
    parser.add_argument("--out", type=Path, default=ROOT / "build/ablation")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not options.on.exists():
        print(f"{options.on} is not there: no real recordings, nothing to judge on")
        return 0
    if unknown := set(options.names) - set(VARIANTS):
        print(f"no variant is called {unknown.pop()!r}; there are: {'; '.join(VARIANTS)}")
        return 2
    store, executor = Store(), functools.partial(Executor.in_process, options.workers)
    recipe = settled(build({}, "ablation", phrase=options.phrase, tier="quick"), force=True)
    for name in options.names or VARIANTS:
        here = options.out / name.replace(":", "").replace(" ", "-").lower()
        run = Run(changed(recipe, VARIANTS[name], name), here, store, executor, lambda line: None)
        with run.at_work():
            material, _ = run.material()
            models = [trained(material, seed, here) for seed in range(1, options.seeds + 1)]
            results = [judged(model, options.on, store, executor) for model in models]
        rows = {stage: row([result.judged[k] for result in results]) for k, stage in enumerate(("spotter", "both"))}
        (here / "row.json").write_text(json.dumps({"name": name, "seeds": options.seeds, **rows}, indent=1))
        print(name, *(f"\n  {stage:8}{said(cells)}" for stage, cells in rows.items()), flush=True)
    print("\n".join(["", *table(options.out)]))
    return 0


def trained(material: Material, seed: int, folder: Path) -> Path:
    """The manifest of a model: a spotter and a verifier of this seed."""
    nets = apart(_nets, material, seed, log=folder / "log.txt")
    inputs = stages.model_key(material, nets)
    made = apart(stages.model, material, nets, inputs, log=folder / "log.txt")
    return Path(made["folder"]) / made["files"]["json"]


def _nets(material: Material, seed: int, tell: Callable[[int, int, str], None] = silent) -> dict[str, Any]:
    first = stages.spotter(material, seed, tell)
    return {"spotters": [first], "chosen": 0, "verifier": stages.verifier(material, first, seed, tell)}


def judged(model: Path, on: Path, store: Store, executor: Callable[[], Executor]) -> Result:
    with executor() as workers:
        more, notes = corpus.recorded(store, workers, silent)
        return judge.evaluate([*pairs.read(model).stages()], corpus.read(on), store, workers, silent, notes, more)


def row(seeds: list[Any]) -> dict[str, list[float]]:
    """ "rate condition" → misses, a share for each seed."""
    return {
        f"{rate} {condition}": [each.points[rate].misses[condition].share for each in seeds if rate in each.points]
        for rate in RATES
        for condition in CONDITIONS
    }


def said(cells: dict[str, list[float]]) -> str:
    return "  ".join(f"{name}: {cell(shares)}" for name, shares in cells.items())


def cell(shares: list[float]) -> str:
    if not shares:
        return "never"
    mean, low, high = (100 * each for each in (statistics.mean(shares), min(shares), max(shares)))
    return f"{mean:.1f} [{low:.1f} … {high:.1f}]"


def table(out: Path) -> Iterator[str]:
    """Markdown: misses of both stages, in per cent, of all variants that lie in this folder."""
    columns = [f"{rate} {condition}" for rate in RATES for condition in CONDITIONS]
    yield "| | " + " | ".join(f"{each} %" for each in columns) + " |"
    yield "|---" * (1 + len(columns)) + "|"
    for path in sorted(out.glob("*/row.json")):
        found = json.loads(path.read_text())
        yield f"| {found['name']} | " + " | ".join(cell(found["both"][each]) for each in columns) + " |"


if __name__ == "__main__":
    sys.exit(main())
