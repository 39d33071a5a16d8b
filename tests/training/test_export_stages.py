"""What chooses a model is not what it is reported on, and a stage is made anew when what it runs has changed."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sourdine_training import material, pools, stages
from sourdine_training.material import FIRMWARE, Material, code, reported
from sourdine_training.recipe import Recipe
from sourdine_training.store import Store


def clip(number, kind="positive", split="valid", engine="kokoro"):
    voice = SimpleNamespace(engine=engine, name="v", speaker=f"s{number % 5}")
    return SimpleNamespace(
        key=f"{kind}{number}", kind=kind, split=split, voice=voice, path=Path(f"{kind}{number}.{split}")
    )


def recording(number, split):
    return SimpleNamespace(
        key=f"r{number}", kind="music", split=split, path=Path(f"music{number}.{split}"), seconds=60.0, source="x"
    )


CLIPS = tuple(
    clip(n, kind, split) for n in range(100) for kind in ("positive", "speech") for split in ("train", "valid")
)
RECORDINGS = tuple(recording(n, split) for n in range(40) for split in ("train", "valid", "judge"))


def made(store, language="en", clips=CLIPS):
    return Material(Recipe("view glass", language=language), clips, RECORDINGS, store)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def built(monkeypatch):
    """What pools are built of."""
    seen = {}
    monkeypatch.setattr(pools, "build", lambda clips, recordings, *_: seen.update(clips=clips, recordings=recordings))
    return seen


def test_nothing_that_is_reported_on_has_trained_or_chosen(store, built):
    used = made(store)
    used.pool("valid")
    judged, notes = stages.unheard(used)
    heard = {each.path for each in [*built["clips"], *built["recordings"]] if each.split != "judge"}
    assert not heard & {each.path for each in judged}
    words = {each.path for each in judged if each.kind == "positive"}
    assert 0.1 < len(words) / 100 < 0.4
    assert len([each for each in built["clips"] if each.split == "train"]) == 200
    assert notes == [stages.SYNTHETIC, stages.APART]


def test_every_clip_of_those_that_validate_either_chooses_or_is_reported_on(store, built):
    made(store).pool("valid")
    chose = {each.key for each in built["clips"] if each.split == "valid"}
    kept = {each.key for each in CLIPS if reported(each)}
    assert chose | kept == {each.key for each in CLIPS if each.split == "valid"}
    assert not chose & kept


def test_a_clip_keeps_its_side_whatever_else_there_is():
    assert [reported(each) for each in CLIPS[:50]] == [reported(each) for each in CLIPS][:50]
    assert not any(reported(each) for each in CLIPS if each.split == "train")
    assert not any(reported(each) for each in RECORDINGS if each.split == "judge")


def test_too_few_to_share_are_judged_all_the_same_and_it_is_said(store):
    few = tuple(each for each in CLIPS if not reported(each))
    judged, notes = stages.unheard(made(store, clips=few))
    assert any(each.kind == "positive" for each in judged)
    assert notes == [stages.SYNTHETIC, stages.TOGETHER]


@pytest.mark.parametrize(
    ("language", "engine", "said"), [("fr", "piper", True), ("fr", "take", False), ("en", "piper", False)]
)
def test_a_french_report_says_that_no_person_spoke(store, language, engine, said):
    clips = tuple(clip(n, engine=engine) for n in range(20))
    assert (stages.FRENCH in stages.unheard(made(store, language, clips))[1]) is said


def test_model_and_judgement_are_made_anew_when_the_firmware_or_the_rule_changes(store, tmp_path, monkeypatch):
    copy = tmp_path / "there"
    (copy / "sourdine").mkdir(parents=True)
    for name in ("export", "net", "evaluate"):
        (copy / name).mkdir()
        (copy / name / "a.py").write_text(name)
    for name in ("rule.py", "pools.py", "features.py", "sourdine/wake.py", "sourdine/plan.py"):
        (copy / name).write_text(name)
    monkeypatch.setattr(material, "HERE", copy)
    monkeypatch.setattr(material.wake, "__file__", str(copy / "sourdine/wake.py"))
    weights = tmp_path / "weights.npz"
    weights.write_bytes(b"w")
    each = {"folder": str(tmp_path), "files": {"npz": "weights.npz"}}
    trained = {"spotters": [each], "chosen": 0, "verifier": each}
    used = made(store)

    def keys():
        return stages.model_key(used, trained), stages.judgement_key(used, each)

    before = keys()
    assert keys() == before
    for name in ("rule.py", "sourdine/wake.py", "sourdine/plan.py", "export/a.py"):
        (copy / name).write_text("other")
        after = keys()
        assert all(new != old for new, old in zip(after, before, strict=True)), name
        before = after


def test_the_code_of_the_firmware_is_all_of_it():
    assert code(FIRMWARE) != code("export")
    assert code(FIRMWARE, "rule.py") != code(FIRMWARE)
