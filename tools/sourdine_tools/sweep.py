"""`sourdine sweep RANGES`: search for a better recipe. docs/training.md has an example."""

import argparse
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_tools import train

SHOWN = 5
BUILD = train.BUILD / "sweep"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ranges", type=Path, help="a TOML file: which options, and what each may be")
    parser.add_argument("--trials", type=int, default=20, help="how many in all (default: %(default)s)")
    parser.add_argument("--phrase", help="what to train it on; may come from --recipe")
    train.add_options(parser, BUILD)
    parser.epilog = (
        "Begun again, it goes on where it was. Give options that only change the net or its training: those of words, "
        "voices and rooms make all their sounds anew for each trial. Exit status: 0 done, 2 not."
    )


def run(arguments: argparse.Namespace) -> int:
    train.check_extras()
    from sourdine_training import sweep

    if arguments.trials < 1:
        raise Mistake(f"{arguments.trials} trials find nothing: choose 1 or more with --trials")
    allowed = sweep.ranges(arguments.ranges)
    screen = train.Screen()
    here = train.run_of(arguments, screen, BUILD)
    found = sweep.sweep(here, allowed, arguments.trials, bool(arguments.dask), screen.say)
    screen.end()
    print(f"the best of {len(found)}, by words missed at fixed false accepts:")
    for trial in found[:SHOWN]:
        print(f"  {trial.loss:.4f}  " + "  ".join(f"{name} {value}" for name, value in trial.values.items()))
    print(f"train with it: sourdine train --recipe {here.folder / sweep.BEST}")
    return 0
