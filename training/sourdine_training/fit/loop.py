"""Steps, checkpoints, validation, curves. Whoever is killed goes on at the last checkpoint, to the same weights."""

import csv
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sourdine_training.fit import curves
from sourdine_training.fit.learner import VECTORS, Learner
from sourdine_training.net.weights import Weights, average, write

Progress = Callable[[int, int, str], None]
CHECKPOINT = "checkpoint.npz"


@dataclass(frozen=True)
class Trained:
    """What a training made.

    path      Weights, for Weights.load()
    loss      by which it was chosen, on the validation pool; less is better
    quality   the rest of what was measured there, by name
    waiting   share of the time of learning in which the net waited for data
    seconds   of this process; what was done before a kill is not in it
    """

    path: Path
    loss: float
    quality: dict[str, float]
    waiting: float
    seconds: float


class Task(Protocol):
    """What is trained: the spotter or the verifier."""

    options: Any

    def batch(self, step: int) -> dict[str, np.ndarray]: ...
    def caution(self, step: int) -> float: ...
    def rounds(self) -> list[int]: ...
    def mine(self, weights: Weights) -> None: ...
    def measure(self, weights: Weights, int8: bool) -> tuple[float, dict[str, float]]: ...
    def state(self) -> dict[str, np.ndarray]: ...
    def restore(self, state: dict[str, np.ndarray]) -> None: ...


def run(task: Task, learner: Learner, folder: Path, progress: Progress, what: str) -> Trained:
    """Train until options.steps, in `folder`: checkpoint.npz, curves.csv, curves.png, candidates, weights.npz.

    A folder whose checkpoint is of another training must not be given.
    """
    o = task.options
    folder.mkdir(parents=True, exist_ok=True)
    began, learned, waited, step, rows = time.monotonic(), 0.0, 0.0, 0, []
    saved = folder / CHECKPOINT
    if saved.exists():
        with np.load(saved) as file:
            state = {name: file[name] for name in file.files}
        step, rows = int(state["step"]), _unrow(state)
        learner.restore({name: state[name] for name in VECTORS})
        task.restore(state)
    quantised = round(o.int8_from * o.steps)
    stops = sorted({*range(o.every, o.steps, o.every), *task.rounds(), o.steps})
    for stop in (each for each in stops if each > step):
        losses, since = np.zeros(3), time.monotonic()
        for at, batch, wait in _ahead(task, step, stop):
            losses += learner.learn(at, batch, rate(o, at), task.caution(at), at >= quantised)
            waited += wait
            if at % 20 == 0:
                progress(at, o.steps, what)
        learned += time.monotonic() - since
        if stop in task.rounds():
            progress(stop, o.steps, f"{what}: mining")
            task.mine(learner.weights())
        now = learner.weights()
        chosen_by, quality = task.measure(now, stop > quantised)
        rows.append(
            {
                "step": stop,
                **dict(zip(("loss", "yes", "no"), losses / (stop - step), strict=True)),
                "chosen_by": chosen_by,
                **quality,
            }
        )
        step = stop
        now.save(folder / f"candidate-{stop}.npz")
        _prune(folder, rows, o, quantised)
        write(saved, step=np.array(step), **learner.state(), **task.state(), **_row(rows))
    progress(o.steps, o.steps, what)
    path, loss, quality = _choose(task, folder, rows, quantised)
    with (folder / "curves.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    curves.draw(rows, folder / "curves.png", quantised)
    seconds = time.monotonic() - began
    return Trained(path, loss, quality, waited / max(learned, 1e-9), seconds)


def rate(options: Any, step: int) -> float:
    """The learning rate: up in a line, down as a cosine to a hundredth."""
    if step < options.warmup:
        return options.rate * (step + 1) / options.warmup
    done = (step - options.warmup) / max(1, options.steps - options.warmup)
    return options.rate * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * done))))


def _ahead(task: Task, first: int, last: int) -> Iterator[tuple[int, dict[str, np.ndarray], float]]:
    """(step, batch, seconds waited for it) of each step, made two ahead by another thread."""
    with ThreadPoolExecutor(1) as thread:
        made = deque(thread.submit(task.batch, step) for step in range(first, min(first + 2, last)))
        for step in range(first, last):
            began = time.monotonic()
            batch = made.popleft().result()
            if step + 2 < last:
                made.append(thread.submit(task.batch, step + 2))
            yield step, batch, time.monotonic() - began


def _final(rows: list[dict], quantised: int) -> list[dict]:
    """The rows of the quantised phase, best first; of all if there is none yet."""
    late = [row for row in rows if row["step"] > quantised] or rows
    return sorted(late, key=lambda row: (row["chosen_by"], -row["step"]))


def _prune(folder: Path, rows: list[dict], options: Any, quantised: int) -> None:
    kept = {f"candidate-{row['step']}.npz" for row in _final(rows, quantised)[: options.keep]} | {
        f"candidate-{rows[-1]['step']}.npz"
    }
    for path in folder.glob("candidate-*.npz"):
        if path.name not in kept:
            path.unlink()


def _choose(task: Task, folder: Path, rows: list[dict], quantised: int) -> tuple[Path, float, dict[str, float]]:
    """The best candidate, or the mean of the best few if that is better yet."""
    best = _final(rows, quantised)[: task.options.keep]
    nets = [Weights.load(folder / f"candidate-{row['step']}.npz") for row in best]
    tried = [nets[0], average(nets)]
    measured = [task.measure(net, int8=task.options.int8_from < 1) for net in tried]
    index = int(np.argmin([loss for loss, _ in measured]))
    path = folder / "weights.npz"
    tried[index].save(path)
    return path, *measured[index]


def _row(rows: list[dict]) -> dict[str, np.ndarray]:
    """Curves as arrays of a checkpoint."""
    return {f"row.{name}": np.array([row[name] for row in rows]) for name in rows[0]}


def _unrow(state: dict[str, np.ndarray]) -> list[dict]:
    names = [name for name in state if name.startswith("row.")]
    values = zip(*(state[name].tolist() for name in names), strict=True)
    return [{name[4:]: value for name, value in zip(names, each, strict=True)} for each in values]
