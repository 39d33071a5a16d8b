"""A trained net in one file."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sourdine_training.net import options as sizes
from sourdine_training.net.stack import Stack
from sourdine_training.store import key

KINDS = {"spotter": sizes.Options, "verifier": sizes.VerifierOptions}


@dataclass(frozen=True, eq=False)
class Weights:
    """A net whose normalisation is folded into weights and biases.

    options  of the spotter or the verifier
    arrays   "0.w", "0.b", "1.w0", …: layer and name, as the stack's layers say; float32
    ranges   float32 [layers, 2]: least and greatest output of each layer that int8 is to hold; NaN where unknown
    """

    options: sizes.Options | sizes.VerifierOptions
    arrays: dict[str, np.ndarray] = field(repr=False)
    ranges: np.ndarray = field(repr=False)

    @property
    def kind(self) -> str:
        return next(kind for kind, each in KINDS.items() if isinstance(self.options, each))

    @property
    def stack(self) -> Stack:
        return self.options.stack()

    @property
    def key(self) -> str:
        """Of content."""
        return key(self.options, self.arrays, self.ranges)

    def save(self, path: Path) -> None:
        about = json.dumps({"kind": self.kind, "options": dataclasses.asdict(self.options)})
        write(path, about=np.array(about), ranges=self.ranges, **self.arrays)

    @classmethod
    def load(cls, path: Path) -> "Weights":
        """Raises OSError, ValueError or KeyError if it is not a file that save() wrote."""
        with np.load(path) as file:
            about = json.loads(str(file["about"]))
            given = {name: _tuple(each) for name, each in about["options"].items()}
            arrays = {name: file[name] for name in file.files if name not in ("about", "ranges")}
            return cls(KINDS[about["kind"]](**given), arrays, file["ranges"])


def average(nets: list[Weights]) -> Weights:
    """The mean of checkpoints of one training (stochastic weight averaging, arXiv:1803.05407)."""
    arrays = {name: np.asarray(np.mean([net.arrays[name] for net in nets], 0), np.float32) for name in nets[0].arrays}
    return Weights(nets[0].options, arrays, np.asarray(np.mean([net.ranges for net in nets], 0), np.float32))


def write(path: Path, **arrays: np.ndarray) -> None:
    """An .npz that is there whole or not at all, whatever is killed; equal arrays give equal bytes."""
    scratch = path.with_name(f".part-{path.name}")
    with scratch.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def _tuple(value):
    return tuple(_tuple(each) for each in value) if isinstance(value, list) else value
