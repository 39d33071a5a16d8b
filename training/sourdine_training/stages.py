"""What is done in a process of its own: each stage takes what it works on, the folder of its checkpoints, and `tell`.

A stage returns what there is to say of it, and the files that belong into the run's folder, by their endings.
"""

import contextlib
import dataclasses
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sourdine_training.apart import Progress
from sourdine_training.material import Material

Made = tuple[dict[str, Any], dict[str, Path]]


def train_spotter(material: Material, seed: int, work: Path, tell: Progress) -> Made:
    """Train one of the spotters that compete."""
    from sourdine_training import fit

    recipe = material.recipe
    with _alone(work, tell):
        pool, valid = material.pool("train"), material.pool("valid")
        trained = fit.train(pool, valid, recipe.fit, seed, work, tell, net=recipe.net)
    return _trained(trained, work)


def train_verifier(material: Material, spotter: Path, work: Path, tell: Progress) -> Made:
    """Train the second stage on what the best spotter lets through."""
    from sourdine_training import fit, net

    recipe, first = material.recipe, net.Weights.load(spotter)
    with _alone(work, tell):
        pool, valid = material.pool("train"), material.pool("valid")
        trained = fit.train_verifier(
            first, pool, valid, recipe.fit_verifier, recipe.seed, work, tell, net=recipe.verifier
        )
    return _trained(trained, work)


def _trained(trained: Any, work: Path) -> Made:
    said = dataclasses.asdict(trained)
    files = {"npz": Path(said.pop("path")), "csv": work / "curves.csv", "png": work / "curves.png"}
    return said, files


@contextlib.contextmanager
def _alone(work: Path, tell: Progress) -> Iterator[None]:
    """Two runs that want the same net: the second waits, and finds it trained."""
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(0, 1, "waiting for another run that trains the same")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
