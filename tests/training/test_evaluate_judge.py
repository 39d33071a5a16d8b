"""Detectors judged: a scripted one whose figures are known beforehand, and a real one from end to end."""

import dataclasses
import html.parser
import json
import os
import shutil
from typing import ClassVar, Literal

import numpy as np
import pytest
import soundfile

import ears
import way
from sourdine_board.mistake import Mistake
from sourdine_tools import cli
from sourdine_training.evaluate import corpus, counts, detectors, judge, pairs, peers, report, sound, text
from sourdine_training.executor import Executor
from sourdine_training.store import Store

RATE = sound.RATE
BLOCK = RATE // 10
LATE_S = 0.08  # of the scripted detector, after the loud thing ended


@dataclasses.dataclass(frozen=True)
class Scripted:
    """Wakes LATE_S after each loud thing of more than a threshold; what is loud the test knows."""

    name: str = "scripted"
    word: str = "alexa"
    key: str = "scripted 1"
    unit: str = "level"
    rule: str = "above"
    peer: bool = False
    ladder: tuple[float, ...] = (1000, 3000, 5000, 7000, 9000)
    shipped: int = 2
    hears: Literal["samples"] = "samples"

    def listen(self, sound):
        loud = np.abs(sound.astype(int))
        edges = np.flatnonzero(np.diff(np.r_[0, loud > 700, 0].astype(int)) < 0)  # where something loud pauses
        ends = [at for i, at in enumerate(edges) if i + 1 == len(edges) or edges[i + 1] - at > BLOCK]
        return {"end": np.array(ends), "peak": np.array([loud[max(0, at - BLOCK) : at].max() for at in ends])}

    def wakes(self, scores):
        return [scores["end"][scores["peak"] > each] / RATE + LATE_S for each in self.ladder]

    def costs(self):
        return detectors.Costs(1, 2, 3.0, 0.5)


def tone(level, seconds=0.5):
    return level * np.sin(np.arange(int(seconds * RATE)) * 0.5)


def silence(seconds, seed):
    return np.random.default_rng(seed).normal(0, 3, int(seconds * RATE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight people say it, at 2000, 4000, … 16000; eight others make sounds that are louder than 2000 or 6000."""
    tmp_path = tmp_path_factory.mktemp("people")
    for name in ("positive/alexa", "negative/speech", "negative/noise", "confusable"):
        (tmp_path / name).mkdir(parents=True)
    for i in range(8):
        clip = np.concatenate([silence(0.6, i), tone(2000 * (i + 1)), silence(0.6, i)])
        soundfile.write(tmp_path / f"positive/alexa/{'abcdefgh'[i]}.wav", clip.round().astype(np.int16), RATE)
        parts = [silence(3, 10 + i), tone(6000 if i == 0 else 2000), silence(6.5, 20 + i)]
        quiet = np.concatenate(parts).round().astype(np.int16)
        soundfile.write(tmp_path / f"negative/speech/{'ijklmnop'[i]}.wav", quiet, RATE)
    soundfile.write(tmp_path / "negative/noise/hum.wav", silence(20, 99).round().astype(np.int16), RATE)
    for level in (4000, 8000):
        near = np.concatenate([silence(0.5, 1), tone(level), silence(0.5, 2)]).round().astype(np.int16)
        soundfile.write(tmp_path / f"confusable/{'lo' if level < 5000 else 'hi'}.wav", near, RATE)
    return tmp_path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def result(folder, store):
    return judged(folder, store, Scripted())


def judged(folder, store, *who):
    return judge.evaluate(list(who), corpus.read(folder), store, Executor())


def test_known_scores_give_exactly_the_known_figures(result):
    point = result.judged[0].points["as shipped"]  # above 5000
    assert (point.misses["clean"].count, point.misses["clean"].of) == (2, 8)  # 2000 and 4000
    assert sorted(point.missed["clean"]) == ["a.wav", "b.wav"]
    assert point.false.count == 1
    assert [(where, kind) for where, _, kind, _ in point.woke] == [("speech/i.wav", "speech")]
    assert point.woke[0][1] == pytest.approx(3.5 + LATE_S, abs=0.01)
    assert (point.confusables.count, point.confusables.of) == (1, 2)
    assert point.kinds["noise"].count == 0
    assert result.hours["noise"] * 3600 == pytest.approx(20, abs=0.01)  # without what lies around it


def test_a_curve_has_every_rung(result):
    curve = result.judged[0].curves["clean"]
    assert [round(8 * miss) for _, miss, _ in curve] == [0, 1, 2, 3, 4]
    hours = sum(result.hours.values())
    assert [round(wrong * hours) for wrong, _, _ in curve] == [8, 1, 1, 0, 0]


def test_it_is_as_late_as_it_is(result):
    point = result.judged[0].points["as shipped"]
    assert len(point.latencies) == 6
    assert point.latencies == pytest.approx([LATE_S] * 6, abs=0.03)


def test_a_rate_that_no_threshold_keeps_to_is_not_stated(folder, store):
    hopeless = Scripted(ladder=(1000, 1500, 1800), shipped=2)
    result = judged(folder, store, hopeless)
    assert list(result.judged[0].points) == ["as shipped"]
    assert "no level keeps" in text.verdict(result.judged[0], result)


def test_a_tenth_an_hour_takes_thirty_hours(result):
    assert result.rates == [0.5, 1.0, 2.0]
    assert judge.Result([], {"speech": 30.0}, {}, {}).rates[0] == 0.1


def test_further_negatives_leave_the_clips_as_they_sound(folder, store, tmp_path):
    soundfile.write(tmp_path / "more.wav", silence(4, 5).round().astype(np.int16), RATE)
    found = corpus.read(folder)
    more = [corpus.Recording(tmp_path / "more.wav", "speech", "", "more", "elsewhere")]
    alone, both = judge.exam(found, "alexa"), judge.exam(found, "alexa", more)
    assert [reel.key for reel in both.positives["5 dB"]] == [reel.key for reel in alone.positives["5 dB"]]
    result = judge.evaluate([Scripted()], found, store, Executor(), further=more)
    assert result.sources["elsewhere"] * 3600 == pytest.approx(4, abs=0.01)


def test_clips_of_one_name_are_told_apart(store, tmp_path):
    (tmp_path / "negative/speech").mkdir(parents=True)
    soundfile.write(tmp_path / "negative/speech/q.wav", silence(3, 8).round().astype(np.int16), RATE)
    for who in ("anna", "bob"):
        (tmp_path / "positive/alexa" / who).mkdir(parents=True)
        clip = np.concatenate([silence(0.6, len(who)), tone(2000), silence(0.6, 1)]).round().astype(np.int16)
        soundfile.write(tmp_path / "positive/alexa" / who / "01.wav", clip, RATE)
    missed = judged(tmp_path, store, Scripted()).judged[0].points["as shipped"].missed["clean"]
    assert sorted(missed) == ["anna/01.wav", "bob/01.wav"]


def test_a_word_that_nobody_says_is_refused(folder, store):
    with pytest.raises(Mistake, match="there is alexa"):
        judged(folder, store, Scripted(word="jarvis"))


@dataclasses.dataclass(frozen=True)
class Counting(Scripted):
    heard: ClassVar = []

    def listen(self, sound):
        self.heard.append(len(sound))
        return super().listen(sound)


def test_what_was_heard_once_is_not_heard_again_until_the_model_changes(folder, store):
    heard = Counting.heard
    heard.clear()
    judged(folder, store, Counting(key="counted 1"))
    once = len(heard)
    judged(folder, store, Counting(key="counted 1"))
    assert len(heard) == once > 0
    judged(folder, store, Counting(key="counted 2"))
    assert len(heard) == 2 * once


def test_a_pairs_key_is_its_models_content(tmp_path):
    for name in ("alexa.json", "alexa.tflite"):
        shutil.copy(ears.models() / name, tmp_path / name)
    before = pairs.read(tmp_path / "alexa.tflite").key
    shutil.copytree(tmp_path, tmp_path / "elsewhere")
    assert pairs.read(tmp_path / "elsewhere/alexa.json").key == before
    (tmp_path / "alexa.tflite").write_bytes((ears.models() / "okay_nabu.tflite").read_bytes())
    assert pairs.read(tmp_path / "alexa.json").key != before


def test_a_pair_hears_what_the_reference_hears():
    pair = pairs.read(ears.models() / "alexa.json")
    rows = np.random.default_rng(0).integers(-128, 128, (90, 40)).astype(np.int8)
    reference = ears.Reference((ears.models() / "alexa.tflite").read_bytes())
    for _ in range(2):  # the second time after a reset
        assert pair.listen(rows)["p"].tolist() == reference.run(rows)
        reference.reset()


def test_a_second_stage_wakes_as_late_as_its_slices_and_never_without_it(tmp_path):
    pair = pairs.read(ears.models() / "alexa.json")
    alone = {"p": np.array([0] * 40 + [255] * 40, np.uint8)}
    first = pair.wakes(alone)[pair.shipped][0]
    asked = dataclasses.replace(pair, second=pairs.Second(pair.model, 150, pair.cutoff, 128))
    answers = {**alone, "v": np.where(alone["p"] > 0, 200, -1).astype(np.int16)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "verifier_slices", lambda *_: 9)
        late = asked.wakes(answers)
    assert late[asked.shipped][0] - first == pytest.approx(0.09)
    assert not len(late[asked.ladder.index(201 / 255)])


def test_a_peer_that_is_not_installed_is_left_out_with_a_line(monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda package: None if package == "pvporcupine" else "1")
    monkeypatch.setitem(peers.PEERS, "openwakeword", ("pyopen-wakeword", lambda word: None))
    found, notes = peers.every("alexa")
    assert [each.name for each in found] == ["microWakeWord"]
    assert "porcupine is left out: pip install -e '.[peers]' brings pvporcupine" in notes
    assert "openwakeword has no model of 'alexa': left out" in notes


def test_hey_jarvis_is_not_judged_on_jarvis(monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda package: "1" if package == "pymicro-wakeword" else None)
    found, notes = peers.every("jarvis")
    assert found == []
    assert any("knows only 'hey jarvis'" in note and "not comparable" in note for note in notes)


def test_one_porcupine_for_all_sensitivities_wakes_as_many_would():
    pytest.importorskip("pvporcupine")
    porcupine = peers.named("porcupine:alexa")
    said = way.say("Alexa! Alexa?", "heart").astype(float)
    sound_ = silence(5, 3)
    sound_[8000 : 8000 + len(said)] += said
    mixed = np.clip(sound_ + 3000 * np.random.default_rng(1).normal(size=len(sound_)), -32768, 32767).astype(np.int16)
    together = porcupine.wakes(porcupine.listen(mixed))
    found = []
    for rung in (0, 4, 9, 18):
        alone = [frame for _, frame in peers.porcupine_frames("alexa", [porcupine.ladder[rung]], mixed)]
        wakes = (np.array(alone) + 1) * 512 / RATE
        assert counts.apart(together[rung], 2).tolist() == pytest.approx(counts.apart(wakes, 2).tolist())
        found.append(len(alone))
    assert found[0] > found[-1]  # or nothing would be shown
    opened = len(os.listdir("/proc/self/fd"))
    porcupine.listen(mixed[:RATE])
    assert len(os.listdir("/proc/self/fd")) == opened


class References(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def test_the_page_needs_nothing_else_and_takes_names_for_text(result, tmp_path):
    shipped = result.judged[0].points["as shipped"]
    hostile = dataclasses.replace(shipped, woke=[("<img src=x onerror=y>.wav", 1.0, "speech", 1.0)])
    other = dataclasses.replace(result.judged[0], name="<script>&", peer=True, points={"as shipped": hostile})
    both = dataclasses.replace(result, judged=[result.judged[0], other], notes=["<b>so</b>"])
    page = report.write(both, tmp_path / "out")
    reader = References()
    reader.feed(page.read_text())
    assert reader.found
    assert all(each.startswith("data:image/png;base64,") for each in reader.found)
    assert "script" not in reader.tags
    assert "&lt;b&gt;so" in page.read_text()
    assert "&lt;script&gt;&amp;" in page.read_text()
    assert "url(" not in page.read_text()
    assert "onerror=y&gt;" in page.read_text()
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert pictures == {f"alexa-{name}.png" for name in ("misses", "det", "false", "latency")}
    assert json.loads((tmp_path / "out/result.json").read_text())["clips"] == {"alexa": 8}


def test_alexa_from_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SOURDINE_CACHE", str(tmp_path / "cache"))
    for name in ("positive/alexa", "negative/speech"):
        (tmp_path / name).mkdir(parents=True)
    for i, text_ in enumerate(("Alexa!", "Alexa?", "Alexa.")):
        soundfile.write(tmp_path / f"positive/alexa/{'abc'[i]}.wav", way.say(text_, "heart"), RATE)
    soundfile.write(tmp_path / "negative/speech/d.wav", way.say(way.COMMAND, "heart"), RATE)
    model = ears.models() / "alexa.json"
    arguments = ["evaluate", str(model), "--on", str(tmp_path), "--no-recorded", "--workers", "1"]
    assert cli.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "alexa: 3 clips" in said
    found = json.loads((tmp_path / "out/result.json").read_text())["judged"][0]
    assert found["points"]["as shipped"]["misses"]["clean"]["count"] == 0
    assert found["points"]["as shipped"]["false"]["count"] == 0
    assert found["costs"]["macs"] == pytest.approx(23_968 / 0.03)
    assert all(0 < late < 0.35 for late in found["points"]["as shipped"]["latencies"])


@pytest.mark.parametrize(
    "more", [[], {"version": 1, "verify": {}}, {"version": 1, "verify": {"model": "../x.tflite"}}, {"version": 2}]
)
def test_a_second_stage_that_is_not_well_described_is_a_mistake(tmp_path, more):
    for name in ("alexa.json", "alexa.tflite"):
        shutil.copy(ears.models() / name, tmp_path / name)
    (tmp_path / "alexa.sourdine.json").write_text(json.dumps(more))
    with pytest.raises(Mistake, match=r"alexa\.sourdine\.json"):
        pairs.read(tmp_path / "alexa.json")


def test_whatever_is_no_model_is_a_mistake(tmp_path):
    for name in ("nothing.json", "nothing.tflite", "nothing.txt"):
        with pytest.raises(Mistake):
            pairs.read(tmp_path / name)
    with pytest.raises(Mistake, match="choose of microwakeword"):
        peers.named("snowboy:alexa")
