"""Who speaks, on which side, under which key."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_board.mistake import Mistake
from sourdine_training.store import digest
from sourdine_training.voices import Options, Saying, Voice, cast, kokoro, trim
from sourdine_training.voices.engine import ENGINES, engine
from sourdine_training.voices.piper import of_user
from sourdine_training.voices.saying import FORMAT
from sourdine_training.voices.voice import DOUBLES, TRAIN, VALID, side
from sourdine_training.words.line import KINDS, Line

LINES = (
    [Line("alexa", "positive", "en", ipa) for ipa in ("əlˈɛksə", "ɐlˈɛksə!", "")]
    + [Line(f"annex {i}", "near", "en", "ˈænɛks") for i in range(70)]
    + [Line(f"a lec {i}", "partial", "en") for i in range(9)]
    + [Line(f"he said annex {i}", "running", "en") for i in range(20)]
    + [Line(f"what is {i} and {i}", "speech", "en") for i in range(200)]
)
MANY = Options(400, 20, 20, 20, 10, 200, near=300, partial=30, running=60, speech=100, warps=2)
COUNTS = tuple(field.name for field in fields(Options) if field.type == "int" or field.type is int)
SOME = {"kokoro": 9, "hibari": 3, "piper": 2, "flite": 3, "festival": 1, "espeak": 5, "near": 40, "partial": 12,
        "running": 20, "speech": 30, "warps": 2}  # fmt: skip
SIDES = ("train", "valid")
ALEXA = Saying(LINES[0], kokoro.pack("af_bella"))


@pytest.fixture(autouse=True)
def every_engine_is_there(monkeypatch):
    """The cast of a machine that has all of them: programs may be missing where this runs."""
    monkeypatch.setattr(engine("piper"), "voices", lambda language: [Voice("piper", "joe", "en-us", "m")])
    monkeypatch.setattr(engine("festival"), "voices", lambda language: [Voice("festival", "kal_diphone", "en-us", "m")])
    some = [Voice("espeak", f"{accent}+{throat}", accent, "") for throat in ("m1", "m2", "f1", "f2", "adam", "linda")
            for accent in ("en-us", "en-gb")]  # fmt: skip
    monkeypatch.setattr(engine("espeak"), "voices", lambda language: some)
    for name in ("kokoro", "hibari", "piper", "flite", "festival", "espeak"):
        monkeypatch.setattr(engine(name), "version", lambda voice, name=name: f"{name} 1")


def test_every_pack_stands_on_one_side_and_those_heard_in_validation_are_of_every_kind():
    valid = [kokoro.pack(name) for name in kokoro.PACKS if kokoro.pack(name).split == "valid"]
    assert len(kokoro.PACKS) == len(set(kokoro.PACKS)) == 54
    assert 0.15 <= len(valid) / len(kokoro.PACKS) <= 0.23
    assert {voice.sex for voice in valid} == {"f", "m"}
    assert {"en-us", "en-gb"} < {voice.language for voice in valid}
    assert {name for name in VALID if name[2:3] == "_"} <= set(kokoro.PACKS)
    assert not VALID & TRAIN
    assert set(DOUBLES) & set(kokoro.PACKS) == {"em_santa", "pm_santa", "pm_alex", "pf_dora"}


@pytest.mark.parametrize(
    "same",
    [
        [("hibari", "heart"), ("kokoro", "af_heart")],
        [("flite", "slt"), ("festival", "cmu_us_slt_arctic_hts"), ("festival", "cmu_us_slt_arctic_clunits")],
        [("flite", "kal16"), ("festival", "kal_diphone")],
        [("kokoro", "pm_santa"), ("kokoro", "am_santa")],
        [("espeak", "en-us+f2"), ("espeak", "en-gb-scotland+f2")],
    ],
)
def test_one_person_under_two_names_is_one_speaker_on_one_side(same):
    assert len({Voice(engine, name, "en-us", "").speaker for engine, name in same}) == 1


def test_about_a_fifth_of_the_speakers_that_no_table_names_is_heard_in_validation():
    share = np.mean([side(f"speaker {i}") == "valid" for i in range(3000)])
    assert 0.15 < share < 0.21


def test_a_mix_across_the_sides_is_refused():
    voice = kokoro.mixed([("af_heart", 0.5, 0.5), ("af_kore", 0.5, 0.5)])
    with pytest.raises(ValueError, match="validation"):
        assert voice.split


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_nobody_is_heard_on_both_sides(seed):
    sides = {"train": set(), "valid": set()}
    for saying in cast(LINES, MANY, seed):
        sides[saying.voice.split] |= saying.voice.speakers
    assert not sides["train"] & sides["valid"]
    assert len(sides["valid"]) > 8


def test_new_speakers_are_mixed_of_two_or_three_packs_a_little_beyond_each():
    mixes = [saying.voice.mix for saying in cast(LINES, MANY) if saying.voice.mix]
    weights = np.array([weight for mix in mixes for part in mix for weight in part[1:]])
    assert {len(mix) for mix in mixes} == {2, 3}
    assert -0.15 <= weights.min() < 0 and 1 < weights.max() <= 1.3
    for mix in mixes:
        assert sum(part[1] for part in mix) == pytest.approx(1, abs=0.01)
        assert sum(part[2] for part in mix) == pytest.approx(1, abs=0.01)


def test_a_mix_takes_timbre_and_prosody_by_their_own_weights():
    rows = [np.full(256, 1, np.float32), np.full(256, 10, np.float32)]
    style = kokoro.blend(rows, [("a", 1.1, 0.0), ("b", -0.1, 1.0)])
    assert style[:128] == pytest.approx(0.1, abs=1e-6)
    assert style[128:] == pytest.approx(10)


@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries({name: st.integers(0, count) for name, count in SOME.items()}))
def test_a_larger_count_extends_a_smaller_one(fewer):
    assert set(SOME) == set(COUNTS)
    few, many = cast(LINES, Options(**fewer)), cast(LINES, Options(**{**SOME, "warps": fewer["warps"]}))
    assert set(few) <= set(many)
    sentences = ("running", "speech")  # of which one in so many is warped
    assert {saying for saying in few if saying.line.kind not in sentences} <= set(cast(LINES, Options(**SOME)))


def test_an_engine_that_has_no_voice_changes_nothing_for_the_others(monkeypatch):
    options = Options(**SOME)
    others = [saying for saying in cast(LINES, options) if saying.voice.engine != "festival"]
    monkeypatch.setattr(engine("festival"), "voices", lambda language: [])
    assert cast(LINES, options) == others


def test_another_seed_casts_others_and_the_same_seed_the_same():
    assert cast(LINES, Options(**SOME), 3) == cast(LINES, Options(**SOME), 3)
    three, four = ({s for s in cast(LINES, Options(**SOME), seed) if s.voice.mix} for seed in (3, 4))
    assert three and four and not three & four


def test_what_says_the_phrase_says_other_lines_too():
    said = cast(LINES, MANY)
    for name in ENGINES:
        assert {"positive", "near", "speech"} <= {saying.line.kind for saying in said if saying.voice.engine == name}


def test_the_usual_reading_of_the_phrase_is_said_most():
    said = [saying.line.phonemes.strip(".!?") for saying in cast(LINES, MANY) if saying.line.kind == "positive"]
    counts = [said.count(line.phonemes.strip(".!?")) for line in LINES[:3]]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) > 0


def test_french_is_said_by_those_who_can():
    lines = [Line("bonjour", "positive", "fr", "bɔ̃ʒˈuʁ"), Line("bon", "near", "fr", "bɔ̃")]
    said = cast(lines, Options(kokoro=60, espeak=10, piper=0, flite=0, festival=0, near=40))
    assert "hibari" not in {saying.voice.engine for saying in said}
    assert sum("ff_siwis" in saying.voice.speakers for saying in said) > len(said) / 10


@pytest.fixture(scope="module")
def standard():
    """kind → (engine, warped?, women's?, a child's?) of the standard cast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine("piper"), "voices", lambda language: [Voice("piper", "joe", "en-us", "m")])
        patch.setattr(engine("festival"), "voices", lambda language: [Voice("festival", "kal_diphone", "en-us", "m")])
        patch.setattr(engine("espeak"), "voices", lambda language: [Voice("espeak", "en-us+m1", "en-us", "m")])
        said = cast(LINES)
    return {kind: [saying for saying in said if saying.line.kind == kind] for kind in KINDS}


def test_no_engine_tells_the_phrase_from_what_is_nearly_it(standard):
    def shares(kind):
        return np.array([np.mean([saying.voice.engine == name for saying in standard[kind]]) for name in ENGINES])

    for kind in ("near", "partial"):
        assert np.abs(shares(kind) - shares("positive")).sum() / 2 < 0.2
    assert shares("running")[ENGINES.index("kokoro")] >= 0.3


def test_the_vocoder_tells_no_kind_from_another(standard):
    warped = [np.mean([saying.warped for saying in standard[kind]]) for kind in KINDS]
    assert np.ptp(warped) < 0.05
    for name in ENGINES:  # nor with the engine
        by_kind = [
            np.mean([saying.warped for saying in standard[kind] if saying.voice.engine == name])
            for kind in ("positive", "near", "speech")
        ]
        assert np.ptp(by_kind) < 0.12


def test_some_warps_are_children_that_women_became(standard):
    warps = [saying for kind in KINDS for saying in standard[kind] if saying.warped]
    children = [saying for saying in warps if saying.formants >= 1.2]
    assert 0.08 < len(children) / len(warps) < 0.16
    assert {saying.voice.sex for saying in children} == {"f"}
    assert all(saying.formants <= 1.4 and 4 <= saying.pitch <= 8 for saying in children)
    sides = [{name for each in children if each.voice.split == side for name in each.voice.speakers} for side in SIDES]
    assert all(sides) and not sides[0] & sides[1]


def test_warps_are_bored_and_excited_and_none_is_slow_beyond_reach(standard):
    moods = [saying.intonation for saying in standard["positive"] if saying.warped]
    assert min(moods) < 0.5 and max(moods) > 1.5
    assert min(saying.speed * saying.tempo for saying in standard["positive"]) > 0.69


def test_a_clip_keeps_the_key_it_was_first_stored_under(monkeypatch):
    monkeypatch.undo()
    assert replace(ALEXA).key == "df59ec647df0b68d8f5c05818b365ec3"


def test_a_change_in_how_clips_are_cut_makes_them_anew():
    """Synthesis is dear, so its keys follow a number. Count FORMAT up, then put both here."""
    assert (FORMAT, digest(Path(trim.__file__))) == (
        1,
        "72b459efb5325a215a2fa66dd21f0db300a5d37f398aede69dcd307347a32004",
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(ALEXA, speed=1.1), replace(ALEXA, seed=1), replace(ALEXA, pitch=1.0), replace(ALEXA, formants=1.1),
        replace(ALEXA, breath=0.1), replace(ALEXA, tempo=1.1), replace(ALEXA, intonation=0.9), replace(ALEXA, line=LINES[1]),
        replace(ALEXA, voice=kokoro.pack("af_sky")),
        replace(ALEXA, voice=kokoro.mixed([("af_bella", 0.5, 0.5), ("af_sky", 0.5, 0.5)])),
        replace(ALEXA, voice=replace(ALEXA.voice, engine="hibari")),
    ],
)  # fmt: skip
def test_the_key_changes_with_all_that_the_sound_depends_on(other):
    assert other.key != replace(ALEXA).key


def test_the_key_does_not_change_with_what_only_people_read():
    mix = kokoro.mixed([("af_bella", 0.5, 0.5), ("af_sky", 0.5, 0.5)])
    renamed = replace(mix, name="somebody")
    as_near = replace(LINES[0], kind="near", text="a lexer")
    assert replace(ALEXA, line=as_near).key == replace(ALEXA).key
    assert replace(ALEXA, voice=mix).key == replace(ALEXA, voice=renamed).key


def test_an_engine_that_there_is_not_is_named():
    with pytest.raises(Mistake, match="no engine called 'pico'"):
        engine("pico")


def test_the_users_piper_voices_are_found_with_their_speakers(tmp_path):
    model = tmp_path / "voices/fr_FR-two.onnx"
    model.parent.mkdir()
    model.write_bytes(b"net")
    config = {"num_speakers": 2, "espeak": {"voice": "fr"}}
    (tmp_path / "voices/fr_FR-two.onnx.json").write_text(json.dumps(config))
    first, second = of_user([str(tmp_path)], "fr")
    assert [voice.name for voice in (first, second)] == [f"{model}#0", f"{model}#1"]
    assert first.speaker != second.speaker
    assert of_user([str(model)], "en") == []


@pytest.mark.parametrize("left", ["nothing.onnx", "plain.onnx"])
def test_a_piper_voice_that_is_none_is_the_users_mistake(tmp_path, left):
    (tmp_path / "plain.onnx").write_bytes(b"net")  # its .json is not there
    with pytest.raises(Mistake, match=r"no Piper voice|is no Piper voice"):
        of_user([str(tmp_path / left)], "en")
