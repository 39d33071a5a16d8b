"""A sweep tries recipes, keeps the best, and goes on where it was. What a trial would take an hour for is made up here."""

import json
import tomllib

import pytest

from sourdine_board.mistake import Mistake
from sourdine_training import recipe, sweep
from sourdine_training.executor import Executor
from sourdine_training.recipe import Recipe
from sourdine_training.run import Run
from sourdine_training.store import Store

ALLOWED = {
    "fit.rate": {"low": 1e-3, "high": 1e-2, "log": True},
    "fit.steps": {"low": 100, "high": 400, "step": 100},
    "net.filters": {"choices": [[48, 48, 48, 48], [56, 56, 56, 56]]},
}


class Killed(Exception):
    """As if the power failed."""


@pytest.fixture
def tried(monkeypatch):
    """The recipes that were tried, in turn. The nearer its steps are to 300, the better a recipe is."""
    recipes = []

    def train(function, made, **_):
        recipes.append(made)
        return {"loss": abs(made.fit.steps - 300) / 1000 + made.fit.rate, "quality": {"misses": 0.5}}

    monkeypatch.setattr(Run, "material", lambda self: (self.recipe, None))
    monkeypatch.setattr(sweep, "apart", train)
    return recipes


def swept(folder, trials, say=lambda line: None):
    run = Run(Recipe(phrase="hey sourdine"), folder / "out", Store(folder), Executor.in_process)
    return sweep.sweep(run, ALLOWED, trials, far=False, say=say)


def test_each_trial_changes_what_may_change_and_nothing_else(tmp_path, tried):
    swept(tmp_path, 4)
    assert len(tried) == 4
    for made in tried:
        assert 1e-3 <= made.fit.rate <= 1e-2
        assert made.fit.steps in (100, 200, 300, 400)
        assert made.net.filters in ((48, 48, 48, 48), (56, 56, 56, 56))
        values = {"fit.rate": made.fit.rate, "fit.steps": made.fit.steps, "net.filters": list(made.net.filters)}
        assert made == sweep.changed(Recipe(phrase="hey sourdine"), values)
    assert len({made.text() for made in tried}) > 1


def test_the_best_recipe_is_kept_and_comes_first(tmp_path, tried):
    said = []
    found = swept(tmp_path, 4, said.append)
    assert [trial.loss for trial in found] == sorted(trial.loss for trial in found)
    best = min(tried, key=lambda made: abs(made.fit.steps - 300) / 1000 + made.fit.rate)
    assert recipe.read(tmp_path / "out/best.toml") == best
    assert len(said) == 4


def test_a_sweep_that_was_killed_goes_on_with_what_it_was_trying(tmp_path, tried, monkeypatch):
    whole = swept(tmp_path / "whole", 3)
    there, tried[:] = list(tried), []
    train = sweep.apart

    def power_fails(function, made, **more):
        if len(tried) == 1:
            tried.append(made)
            raise Killed
        return train(function, made, **more)

    monkeypatch.setattr(sweep, "apart", power_fails)
    with pytest.raises(Killed):
        swept(tmp_path / "cut", 3)
    monkeypatch.setattr(sweep, "apart", train)
    found = swept(tmp_path / "cut", 3)
    assert len(found) == len(whole) == 3
    assert [made.text() for made in tried[:2]] == [made.text() for made in there[:2]]
    assert tried[2] == tried[1]  # what was cut short
    before = len(tried)
    assert swept(tmp_path / "cut", 3) == found
    assert len(tried) == before  # three were asked for, and there are three


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"holds one table, \[ranges\]"),
        ("[ranges]\n[more]\n", r"holds one table, \[ranges\]"),
        ('[ranges]\n"fit.rate" = 3\n', "needs low and high"),
        ('[ranges]\n"fit.rate" = { low = 1 }\n', "needs low and high"),
        ('[ranges]\n"fit.rate" = { low = 1, high = 2, bounds = 3 }\n', "needs low and high"),
        ('[ranges]\n"fit.rat" = { low = 1, high = 2 }\n', "did you mean `rate`"),
        ('[ranges]\n"fit.steps" = { low = 0.5, high = 2 }\n', "a whole number"),
        ('[ranges]\n"net.filters" = { choices = ["many"] }\n', "a list"),
    ],
)
def test_ranges_that_cannot_be_are_refused_before_anything_is_tried(tmp_path, text, why):
    path = tmp_path / "ranges.toml"
    path.write_text(text)
    with pytest.raises(Mistake, match=why):
        sweep.ranges(path)


def test_the_page_that_explains_sweeps_has_an_example_that_works(tmp_path):
    path = tmp_path / "ranges.toml"
    path.write_text("\n".join(line.strip() for line in (sweep.__doc__ or "").splitlines() if line.startswith("    ")))
    assert json.loads(json.dumps(sweep.ranges(path))) == tomllib.loads(path.read_text())["ranges"]
