"""A recipe says everything that decides a training, to people and back; whatever is mistyped is said in one line."""

import dataclasses
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_board.mistake import Mistake
from sourdine_training import options, recipe
from sourdine_training.recipe import TIERS, Recipe

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = {
    bool: st.booleans(),
    int: st.integers(-(2**40), 2**40),
    float: st.floats(allow_nan=False),
    str: TEXT,
}


def values(default):
    """Anything that may stand where `default` does."""
    if isinstance(default, tuple):
        return st.lists(values(default[0]) if default else TEXT, max_size=3).map(tuple)
    return PLAIN[type(default)]


def others(default):
    """Dataclasses like this one, with other values at every depth."""
    fields = {field.name: getattr(default, field.name) for field in dataclasses.fields(default)}
    drawn = {name: others(each) if dataclasses.is_dataclass(each) else values(each) for name, each in fields.items()}
    return st.fixed_dictionaries({}, optional=drawn).map(lambda some: dataclasses.replace(default, **some))


def names(options_):
    """Every option as (its tables…, its name)."""
    for field in dataclasses.fields(options_):
        value = getattr(options_, field.name)
        yield (field.name,)
        if dataclasses.is_dataclass(value):
            yield from ((field.name, *rest) for rest in names(value))


def nested(path, value):
    return {path[0]: nested(path[1:], value) if path[1:] else value}


def refusal(table):
    """The one line that a table is refused with."""
    with pytest.raises(Mistake) as refused:
        recipe.build(table, "mine.toml")
    (line,) = str(refused.value).splitlines()
    return line


@settings(max_examples=40, deadline=None)
@given(others(Recipe()))
def test_a_recipe_written_down_whole_is_the_same_recipe(given_):
    said = tomllib.loads(given_.text())
    assert options.filled(Recipe(), said) == given_


def test_the_file_that_a_run_leaves_makes_the_same_recipe_again(tmp_path):
    made = recipe.build({"tier": "full", "words": {"respelt": ["hey soor deen"]}}, phrase="hé « sourdine »", seed=7)
    (tmp_path / "recipe.toml").write_text(made.text())
    assert recipe.read(tmp_path / "recipe.toml") == made


def test_what_is_said_outweighs_the_file_which_outweighs_its_tier():
    table = {"tier": "quick", "seed": 5, "language": "fr", "voices": {"kokoro": 7}}
    made = recipe.build(table, seed=6, language=None)
    quick = recipe.of_tier("quick")
    assert (made.seed, made.language, made.voices.kokoro) == (6, "fr", 7)
    assert made.voices == dataclasses.replace(quick.voices, kokoro=7)
    assert (made.pools, made.fit) == (quick.pools, quick.fit)
    assert recipe.build(table, tier="full").voices == dataclasses.replace(recipe.of_tier("full").voices, kokoro=7)
    assert recipe.build({}) == recipe.of_tier("standard")
    assert recipe.build({"seed": 5}, seed=0).seed == 0


def test_a_longer_tier_has_no_less_of_anything():
    quick, standard, full = (recipe.of_tier(name) for name in TIERS)
    assert quick.words == standard.words == full.words  # or else the same voices would say other lines
    for less, more in ((quick, standard), (standard, full)):
        assert less.seeds <= more.seeds
        assert less.fit.steps < more.fit.steps
        for room in ("voices", "pools"):
            one, other = (options.table(getattr(each, room)) for each in (less, more))
            assert all(one[name] <= other[name] for name in one), room


@pytest.mark.parametrize(
    ("table", "nearest"),
    [
        ({"voices": {"kokro": 3}}, "`kokro`; did you mean `kokoro`?"),
        ({"vioces": {"kokoro": 3}}, "`vioces`; did you mean `voices`?"),
        ({"fit": {"step": 3}}, "`step`; did you mean `steps`?"),
        ({"phrases": "hey sourdine"}, "`phrases`; did you mean `phrase`?"),
    ],
)
def test_a_mistyped_option_is_told_the_nearest(table, nearest):
    line = refusal(table)
    assert line.startswith("mine.toml")
    assert line.endswith(nearest)


@settings(deadline=None)
@given(st.sampled_from([path for path in names(Recipe())]), st.data())
def test_no_unknown_option_is_taken(path, data):
    known = {each[-1] for each in names(Recipe())}
    at = data.draw(st.integers(0, len(path[-1])))
    mistyped = path[-1][:at] + data.draw(st.sampled_from("abcxyz_")) + path[-1][at + data.draw(st.integers(0, 1)) :]
    if mistyped not in known:
        assert f"`{mistyped}`" in refusal(nested((*path[:-1], mistyped), 1))


@settings(deadline=None)
@given(
    st.sampled_from([path for path in names(Recipe()) if path != ("tier",)]),
    st.sampled_from([True, 3, 0.5, "x", [True], {}]),
)
def test_no_value_of_another_kind_is_taken(path, value):
    default = Recipe()
    for name in path:
        default = getattr(default, name)
    fits = type(value) is type(default) or (isinstance(default, float) and type(value) is int)
    if not fits and not (dataclasses.is_dataclass(default) and isinstance(value, dict)):
        assert f"`{path[-1]}`" in refusal(nested(path, value))


def test_a_whole_number_is_a_number_and_a_truth_is_none():
    assert recipe.build({"pools": {"hours": 3}}).pools.hours == 3.0
    assert "a whole number" in refusal({"seed": True})


@pytest.mark.parametrize("tier", ["Quick", "", 3, ["quick"]])
def test_the_tiers_that_there_are_are_named(tier):
    assert "there are quick, standard, full" in refusal({"tier": tier})


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"phrase = hey", "is not TOML"), (b"\xff\xfe", "is not TOML"), (None, "cannot read")],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, content, why):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Mistake, match=f"{path}.*{why}|{why} {path}"):
        recipe.read(path)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({}, "name it in quotes"),
        ({"phrase": "!?"}, "name it in quotes"),
        ({"phrase": "hey you", "seeds": 0}, "choose 1 or more"),
        ({"phrase": "hey you", "seed": -1}, "choose 0 or more"),
        ({"phrase": "hey you", "net": {"filters": [32, 32]}}, r"\[net\].*one entry for each block"),
        ({"phrase": "hey you", "verifier": {"strides": [2]}}, r"\[verifier\].*one entry for each block"),
        ({"phrase": "hey you", "data": ["/nowhere"]}, "/nowhere is not a folder"),
    ],
)
def test_what_could_not_be_trained_is_refused_before_anything_is_made(table, why):
    with pytest.raises(Mistake, match=why):
        recipe.settled(recipe.build(table))


@pytest.mark.parametrize(
    ("phrase", "name"),
    [("hey sourdine", "hey_sourdine"), ("Hé, Sourdine!", "he_sourdine"), ("  o.k.  go ", "o_k_go"), ("œuf", "uf")],
)
def test_files_are_called_after_the_phrase(phrase, name):
    assert Recipe(phrase=phrase).name == name


def test_the_piper_voices_among_the_users_data_speak(tmp_path):
    for name in ("mia.onnx", "mia.onnx.json", "alone.onnx"):
        (tmp_path / name).touch()
    made = recipe.settled(recipe.build({"phrase": "hey you", "data": [str(tmp_path)]}))
    assert made.voices.piper_voices == (str(tmp_path / "mia.onnx"),)
