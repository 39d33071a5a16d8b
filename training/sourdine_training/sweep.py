"""Which recipe is better: many spotters, each trained by another, tried where Optuna expects most.

    [ranges]
    "fit.rate" = { low = 1e-3, high = 1e-2, log = true }
    "fit.mined" = { low = 1_000, high = 6_000, step = 500 }
    "net.filters" = { choices = [[48, 48, 48, 48], [56, 56, 56, 56]] }

What counts is `loss`: the words missed at fixed false accepts an hour, on voices and recordings that validate.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sourdine_board.mistake import Mistake
from sourdine_training import options, stages
from sourdine_training.apart import apart, silent
from sourdine_training.executor import Executor
from sourdine_training.material import Material
from sourdine_training.recipe import Recipe, parsed
from sourdine_training.run import Run

STUDY, BEST = "study.db", "best.toml"
KINDS = {"low", "high", "step", "log", "choices"}


@dataclasses.dataclass(frozen=True)
class Trial:
    number: int
    values: dict[str, Any]
    loss: float
    quality: dict[str, float]


def ranges(path: Path) -> dict[str, dict[str, Any]]:
    """Option → what it may be, from the [ranges] of a TOML file. Raises Mistake."""
    table = parsed(path)
    if set(table) != {"ranges"} or not table["ranges"]:
        raise Mistake(
            f'{path} holds one table, [ranges], with lines such as "fit.rate" = {{ low = 1e-3, high = 1e-2 }}'
        )
    for name, allowed in table["ranges"].items():
        ends = isinstance(allowed, dict) and ({"low", "high"} <= set(allowed) or set(allowed) == {"choices"})
        if not ends or set(allowed) - KINDS:
            raise Mistake(f"{path}: `{name}` needs low and high (and step or log), or choices")
        for value in allowed.get("choices", [allowed.get("low")]):
            changed(Recipe(), {name: value}, str(path))
    return table["ranges"]


def changed(recipe: Recipe, values: dict[str, Any], where: str = "trial") -> Recipe:
    """The recipe with other values: {"fit.rate": 0.003}. Raises Mistake."""
    table: dict[str, Any] = {}
    for name, value in values.items():
        section, _, option = name.partition(".")
        if option:
            table.setdefault(section, {})[option] = value
        else:
            table[section] = value
    return options.filled(recipe, table, where)


def sweep(
    run: Run, allowed: dict[str, dict[str, Any]], trials: int, far: bool, say: Callable[[str], None]
) -> list[Trial]:
    """So many trials in all, in the study of the run's folder; the best recipe lies beside it. Raises Mistake.

    far: as many at once as the executor has workers, there; else one after another in processes of this machine.
    """
    study = _study(run)
    with run.at_work():
        while (done := len(_finished(study))) < trials:
            with run.executor() as executor:
                asked = [study.ask() for _ in range(min(executor.workers if far else 1, trials - done))]
                values = [{name: _drawn(trial, name, each) for name, each in allowed.items()} for trial in asked]
                for trial, made, tried in zip(asked, _tried(run, values, executor, far), values, strict=True):
                    trial.set_user_attr("quality", made["quality"])
                    study.tell(trial, made["loss"])
                    say(f"{trial.number:4}  {made['loss']:.4f}  {json.dumps(tried)}")
        found = sorted(
            (Trial(t.number, _values(t), t.value, t.user_attrs["quality"]) for t in _finished(study)),
            key=lambda trial: trial.loss,
        )
        with run.store.writing(run.folder / BEST) as scratch:
            scratch.write_text(changed(run.recipe, found[0].values).text())
    return found


def _tried(run: Run, values: list[dict[str, Any]], executor: Executor, far: bool) -> Iterator[dict[str, Any]]:
    """What each of these recipes makes. Voices and scenes that they share are made once."""
    materials = [dataclasses.replace(run, recipe=changed(run.recipe, each)).material()[0] for each in values]
    if far:
        yield from executor.map(_train, materials)
    else:
        yield from (apart(_train, each, log=run.folder / "log.txt") for each in materials)


def _train(material: Material, tell: Callable[[int, int, str], None] = silent) -> dict[str, Any]:
    return stages.spotter(material, material.recipe.seed, tell)


def _study(run: Run) -> Any:
    try:
        import optuna
    except ImportError as error:
        raise Mistake("sweeps need Optuna: pip install -e '.[scale]'") from error
    run.folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{run.folder / STUDY}", study_name=run.recipe.name or "sweep", load_if_exists=True
    )
    for trial in study.get_trials(deepcopy=False):  # what was under way when it was killed is tried again
        if trial.state == optuna.trial.TrialState.RUNNING:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)
    study.sampler = optuna.samplers.TPESampler(seed=run.recipe.seed + len(study.trials))
    return study


def _finished(study: Any) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]


def _drawn(trial: Any, name: str, allowed: dict[str, Any]) -> Any:
    """A value of an option. Choices are asked for by their text, for a study keeps no lists."""
    if "choices" in allowed:
        return json.loads(trial.suggest_categorical(name, [json.dumps(each) for each in allowed["choices"]]))
    more = {each: allowed[each] for each in ("step", "log") if each in allowed}
    whole = all(isinstance(allowed[end], int) for end in ("low", "high"))
    suggest = partial(trial.suggest_int if whole else trial.suggest_float, name)
    return suggest(allowed["low"], allowed["high"], **more)


def _values(trial: Any) -> dict[str, Any]:
    return {name: json.loads(each) if isinstance(each, str) else each for name, each in trial.params.items()}
