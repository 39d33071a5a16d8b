"""`sourdine train "hey sourdine"`: from a phrase to a model that can be flashed. docs/training.md tells it all."""

import argparse
import importlib.util
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from sourdine_board.mistake import Mistake

BUILD = Path("build/training")
NEEDED = ("onnxruntime", "pymicro_features", "pyroomacoustics", "pyworld", "scipy", "tensorflow", "tomli_w", "wordfreq")
QUIET_S = 30.0  # between two lines where nobody watches a terminal
WIDTH = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("phrase", nargs="?", help="the words to wake on, in quotes; may come from --recipe")
    parser.add_argument(
        "--seeds", type=int, help="spotters that compete, the best of which is kept (default: the tier's)"
    )
    parser.add_argument("--author", help="whom the model's manifest names")
    add_options(parser, BUILD)
    parser.epilog = (
        "Interrupted or killed, the same line goes on where it was. What was made is kept in ~/.cache/sourdine, or "
        "where $SOURDINE_CACHE says. Exit status: 0 done, 2 not."
    )


def add_options(parser: argparse.ArgumentParser, build: Path) -> None:
    """What `train` and `sweep` share."""
    parser.add_argument("--tier", choices=("quick", "standard", "full"), help="how thorough (default: standard)")
    parser.add_argument("--language", metavar="en|fr", help="which the phrase is said in (default: en)")
    parser.add_argument("--recipe", type=Path, metavar="FILE", help="a TOML file of options, on top of its tier's")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"the run's folder (default: {build}/NAME)")
    own = parser.add_argument_group("your own recordings")
    own.add_argument("--data", action="append", type=Path, metavar="DIR", help="voices, speech, music; may be repeated")
    own.add_argument("--takes", type=Path, metavar="DIR", help="you, saying the phrase: see `sourdine record`")
    own.add_argument("--negatives", type=Path, metavar="DIR", help="what woke the board and was not the phrase")
    parser.add_argument("--seed", type=int, help="of everything random (default: 1)")
    work = parser.add_mutually_exclusive_group()
    work.add_argument("--workers", type=int, help="processes of this machine (default: one per core)")
    work.add_argument("--dask", metavar="ADDRESS", help="the workers of this Dask scheduler instead")
    parser.add_argument("--force", action="store_true", default=None, help="train even a phrase that makes a poor word")


def run(arguments: argparse.Namespace) -> int:
    check_extras()
    screen = Screen()
    here = run_of(arguments, screen, BUILD)
    summary = here.train()
    screen.end()
    print(ending(summary, here.folder))
    return 0


def run_of(arguments: argparse.Namespace, screen: "Screen", build: Path):
    """The Run that a command line asks for. Raises Mistake."""
    from sourdine_training.executor import Executor
    from sourdine_training.run import Run
    from sourdine_training.store import Store

    recipe = recipe_of(arguments)
    workers = os.cpu_count() or 1 if arguments.workers is None else arguments.workers
    if workers < 1:
        raise Mistake(f"{workers} workers do no work: name 1 or more with --workers")
    if arguments.dask:
        executor = partial(Executor.dask, arguments.dask)
    else:
        executor = partial(Executor.in_process, workers)
    return Run(recipe, arguments.out or build / recipe.name, Store(), executor, screen.say, screen.tell)


def recipe_of(arguments: argparse.Namespace):
    """The recipe that a command line asks for. Raises Mistake."""
    from sourdine_training import recipe

    said: dict[str, Any] = {
        name: getattr(arguments, name, None) for name in ("phrase", "tier", "language", "seed", "seeds", "author")
    }
    for name in ("data", "takes", "negatives"):
        said[name] = absolute(getattr(arguments, name))
    made = recipe.read(arguments.recipe, **said) if arguments.recipe else recipe.build({}, "the command line", **said)
    return recipe.settled(made, force=bool(arguments.force))


def absolute(paths: Path | list[Path] | None) -> str | tuple[str, ...] | None:
    """Paths as a recipe keeps them; Mistake for a folder that is not there."""
    for path in paths if isinstance(paths, list) else [paths] if paths else []:
        if not path.is_dir():
            raise Mistake(f"{path} is no folder: check its name")
    if isinstance(paths, list):
        return tuple(str(path.resolve()) for path in paths)
    return str(paths.resolve()) if paths else None


def check_extras() -> None:
    """Mistake when what training needs is not installed."""
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)]
    if missing:
        raise Mistake(f"training needs {', '.join(missing)}: pip install -e '.[train]'")


def ending(summary: dict, folder: Path) -> str:
    """What a person wants to know at the end."""
    from sourdine_training.plan import duration

    spread = ", ".join(f"{each['loss']:.3f}" for each in summary["spotters"])
    name, memory, cache = summary["model"], summary["peak_bytes"] / 1e9, summary["store_bytes"] / 1e9
    lines = (
        f"“{summary['phrase']}” is trained: {folder / name}.json",
        f"  {summary['verdict']}",
        f"  report    {folder / 'report' / 'report.html'}",
        f"  spotters  {spread} (loss on synthetic voices it did not learn from; the least is kept)",
        f"  took      {duration(summary['seconds'])}, {memory:.1f} GB of memory, {cache:.1f} GB of cache",
        f"  flash it  cp {folder}/{name}.* firmware/models/ && sourdine flash --model {name}",
    )
    return "\n".join(lines)


class Screen:
    """One line that moves on a terminal, and a line now and then where there is none."""

    def __init__(self) -> None:
        self._moving = sys.stderr.isatty()
        self._said, self._stage = 0.0, ""

    def say(self, line: str) -> None:
        self._wipe()
        print(line, flush=True)

    def tell(self, share: float, left: float, what: str) -> None:
        from sourdine_training.plan import duration

        filled = round(WIDTH * min(1.0, share))
        line = f"{share:4.0%} {what}, {duration(left)} left"
        now, stage = time.monotonic(), what.partition(":")[0]
        if self._moving and (now - self._said > 0.2 or stage != self._stage):
            sys.stderr.write(f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {line:<79.79}")
            sys.stderr.flush()
        elif not self._moving and (now - self._said > QUIET_S or stage != self._stage):
            print(line, file=sys.stderr, flush=True)
        else:
            return
        self._said, self._stage = now, stage

    def end(self) -> None:
        self._wipe()

    def _wipe(self) -> None:
        if self._moving:
            sys.stderr.write("\r" + " " * (WIDTH + 83) + "\r")
            sys.stderr.flush()
