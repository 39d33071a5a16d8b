"""Whatever the owner brings is known by its layout, a broken file is named and left out, and no speaker crosses the split."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sourdine_board.mistake import Mistake
from sourdine_training.executor import Executor
from sourdine_training.sources import audio, folders, packages, recorded
from sourdine_training.sources.pieces import LONGEST_S, Group, joined
from sourdine_training.store import Store

RATE = 16_000
HERE = Executor.in_process()


def tone(hz=440, seconds=0.5, rate=RATE):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def put(path, sound=None, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone() if sound is None else sound, rate)
    return path


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def found(path, phrase="hey sourdine"):
    return sorted((each.kind, each.who, each.path.name) for each in folders._known(path, phrase))


def test_common_voice_is_known_by_its_tables_and_its_sentences_are_read(tmp_path):
    for name in ("a.mp3", "b.mp3", "c.mp3", "orphan.mp3"):
        put(tmp_path / "cv/en/clips" / name)
    rows = [
        "client_id\tpath\tsentence",
        "ann\ta.mp3\tGood morning",
        'bob\tb.mp3\t"Hey, Sourdine" he said',
        "bob\tc.mp3\tHey you",
    ]
    (tmp_path / "cv/en/validated.tsv").write_text("\n".join(rows) + "\n")
    known = found(tmp_path / "cv")
    assert ("speech", "ann", "a.mp3") in known
    assert ("speech", "bob", "c.mp3") in known
    assert "b.mp3" not in [name for *_, name in known]


def test_speech_commands_are_known_by_their_names_and_the_word_itself_is_left_out(tmp_path):
    put(tmp_path / "sc/marvin/0a7c2a8d_nohash_0.wav")
    put(tmp_path / "sc/yes/0a7c2a8d_nohash_0.wav")
    put(tmp_path / "sc/_background_noise_/tap.wav")
    assert found(tmp_path / "sc", "Hey Marvin!") == [
        ("ambience", "tap", "tap.wav"),
        ("speech", "0a7c2a8d", "0a7c2a8d_nohash_0.wav"),
    ]


def test_musan_and_librispeech_are_known(tmp_path):
    for name in (
        "musan/music/fma/m-1.wav",
        "musan/noise/free/n-1.wav",
        "musan/speech/us/s-1.wav",
        "x/84/121/84-121-0001.flac",
    ):
        put(tmp_path / name)
    assert [kind for kind, *_ in found(tmp_path / "musan")] == ["ambience", "music", "speech"]
    assert found(tmp_path / "x") == [("speech", "84", "84-121-0001.flac")]


def test_plain_folders_say_what_they_hold_by_their_names(tmp_path):
    put(tmp_path / "mine/Voices/ann/1.ogg")
    put(tmp_path / "mine/Music/x.flac")
    assert found(tmp_path / "mine") == [("music", "x", "x.flac"), ("speech", "ann", "1.ogg")]
    put(tmp_path / "other/x.wav")
    with pytest.raises(Mistake, match="speech, music or noise"):
        folders.folder(tmp_path / "other", "hey", Store(tmp_path / "store"), HERE)
    with pytest.raises(Mistake, match="not a folder"):
        folders.folder(tmp_path / "nowhere", "hey", Store(tmp_path / "store"), HERE)


def test_piper_voices_are_those_with_a_description(tmp_path):
    for name in ("joe.onnx", "joe.onnx.json", "other.onnx"):
        (tmp_path / name).touch()
    assert folders.piper(tmp_path) == [tmp_path / "joe.onnx"]


@pytest.mark.parametrize(("name", "rate"), [("a.wav", 8000), ("a.mp3", 44_100), ("a.ogg", 48_000), ("a.flac", 11_025)])
def test_any_rate_and_format_comes_as_16_khz(tmp_path, name, rate):
    sound = audio.load(put(tmp_path / name, np.stack([tone(440, 1, rate)] * 2, 1), rate))
    assert abs(len(sound) - RATE) < 1600
    assert np.argmax(np.abs(np.fft.rfft(sound[: RATE // 2]))) == 220


def test_of_a_long_file_the_first_part_is_read_and_the_cut_is_named(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(audio, "LONGEST_S", 3)
    monkeypatch.setattr(audio, "BLOCK_S", 1)
    left = np.concatenate([tone(440, 3, 8000), tone(900, 2, 8000)])
    sound = audio.load(put(tmp_path / "hours.wav", np.stack([left, left], 1), 8000))
    assert len(sound) == 3 * RATE
    assert np.argmax(np.abs(np.fft.rfft(sound[2 * RATE :]))) == 440
    assert "hours.wav" in caplog.text
    caplog.clear()
    audio.load(put(tmp_path / "short.wav", left[: 3 * 8000], 8000))
    assert not caplog.text


def test_g722_is_decoded(tmp_path):
    """A tone through the codec of PyPI's G722, written raw as Asterisk keeps it."""
    g722 = pytest.importorskip("G722")
    said = np.rint(tone(1000, 0.5) * 32_767).astype(np.int16)
    (tmp_path / "a.g722").write_bytes(bytes(g722.G722(RATE, 64_000).encode(said.tolist())))
    sound = audio.load(tmp_path / "a.g722")
    assert len(sound) == len(said)
    assert np.argmax(np.abs(np.fft.rfft(sound))) == 500
    assert np.abs(sound).max() == pytest.approx(0.3, rel=0.1)


def test_a_broken_file_is_named_and_left_out(tmp_path, store, caplog):
    put(tmp_path / "mine/speech/good.wav")
    (tmp_path / "mine/speech/broken.wav").write_bytes(b"RIFF and then nothing of the kind")
    put(tmp_path / "mine/speech/silent.wav", np.zeros(RATE))
    for _ in range(2):  # from the store, too
        caplog.clear()
        recordings = folders.folder(tmp_path / "mine", "hey", store, HERE)
        assert len(recordings) == 1
        assert "broken.wav" in caplog.text
        assert "silent.wav" in caplog.text
        assert "good.wav" not in caplog.text


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    path = tmp_path / "nan.wav"
    soundfile.write(path, np.full(RATE, np.nan, np.float32), RATE, "FLOAT")
    with pytest.raises(audio.Unreadable, match="not numbers"):
        audio.load(path)


def test_pieces_are_short_loud_enough_and_carry_their_kind(tmp_path, store):
    put(tmp_path / "mine/music/long.wav", 0.001 * tone(300 + np.arange(150 * RATE) / RATE, 2.5 * LONGEST_S))
    pieces = folders.folder(tmp_path / "mine", "hey", store, HERE)
    assert [piece.kind for piece in pieces] == ["music"] * 3
    assert sum(piece.seconds for piece in pieces) == pytest.approx(2.5 * LONGEST_S, abs=0.1)
    for piece in pieces:
        sound, rate = soundfile.read(piece.path)
        assert rate == RATE
        assert len(sound) <= LONGEST_S * RATE
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(audio.LOUDNESS, rel=0.1)
    assert len({piece.key for piece in pieces}) == 3


def test_speakers_stand_on_one_side_and_both_sides_are_manned(tmp_path, store):
    for who in range(30):
        for take in range(2):
            put(tmp_path / f"mine/speech/speaker{who}/{take}.wav", tone(200 + 10 * who + take, 0.1))
    sides = {}
    for each in folders._known(tmp_path / "mine", ""):
        sides.setdefault(each.who, set()).add(folders.side(each.who))
    assert len(sides) == 30
    assert all(len(each) == 1 for each in sides.values())
    assert {piece.split for piece in folders.folder(tmp_path / "mine", "", store, HERE)} == {"train", "valid"}


def test_takes_are_trimmed_and_one_in_five_is_kept_aside(tmp_path, store, caplog):
    for number in range(10):
        sound = np.concatenate([np.zeros(RATE), tone(400 + 9 * number, 0.6), np.zeros(RATE // 2)])
        put(tmp_path / f"takes/{number}.wav", sound)
    put(tmp_path / "takes/story.wav", tone(400, 6))
    clips = folders.takes(tmp_path / "takes", "hey sourdine", store)
    assert "story.wav" in caplog.text
    assert [clip.split for clip in clips].count("valid") == 2
    assert len(clips) == 10
    for clip in clips:
        assert clip.kind == "positive"
        assert clip.voice.engine == folders.TAKE
        assert clip.seconds == pytest.approx(0.7, abs=0.03)
        assert clip.end_s == pytest.approx(0.65, abs=0.02)
    assert folders.takes(tmp_path / "takes", "hey sourdine", store) == clips
    with pytest.raises(Mistake, match="sourdine record"):
        folders.takes(put(tmp_path / "none/x.txt.wav", np.zeros(99)).parent, "hey sourdine", store)


def test_negatives_are_near_words_and_may_be_long(tmp_path, store):
    put(tmp_path / "not/one.ogg", tone(500, 6))
    [clip] = folders.negatives(tmp_path / "not", store)
    assert (clip.kind, clip.split) == ("near", "train")


FILES = {  # package → path in it, what it is
    "asterisk-core-sounds-en-g722": [("/usr/share/asterisk/sounds/en_US_f_Allison/silence/1.g722", ("", "")),
                                     ("/usr/share/asterisk/sounds/en_US_f_Allison/digits/1.g722", ("speech", "en"))],
    "tuxpaint-stamps-default": [("/stamps/animals/apes/gorilla_desc_fr.ogg", ("speech", "fr")),
                                ("/stamps/animals/apes/gorilla_desc.ogg", ("speech", "")),
                                ("/stamps/animals/apes/gorilla.ogg", ("ambience", "gorilla")),
                                ("/stamps/symbols/math/5_nn.ogg", ("", ""))],
    "klettres-data": [("/usr/share/klettres/pt_BR/syllab/a.ogg", ("speech", "pt"))],
    "ktuberling-data": [("/usr/share/ktuberling/sounds/sr@latin/a.ogg", ("speech", "sr"))],
    "ufoai-sound": [("/sound/ui/click.ogg", ("", "")), ("/sound/ambience/rain2.ogg", ("ambience", "rain"))],
    "hedgewars-data": [("/Data/Sounds/voices/Pirate/Hello.ogg", ("speech", "Pirate")), ("/Data/Music/Art.ogg", ("music", "Art"))],
}  # fmt: skip


def test_files_of_the_packages_are_told_apart():
    by_name = {package.name: package for package in recorded.PACKAGES}
    for name, files in FILES.items():
        assert [(path, by_name[name].kind(path)) for path, _ in files] == files


def test_languages_tunes_and_noises_stand_on_one_side_and_the_judges_apart():
    assert recorded.split("speech", "it", judge=False) == "valid"
    assert recorded.split("speech", "en", judge=False) == "train"
    assert recorded.split("speech", "en", judge=True) == "judge"
    assert {recorded.split("music", f"tune{k}", judge=False) for k in range(40)} == {"train", "valid"}
    judges = {package.name for package in recorded.PACKAGES if package.judge}
    assert judges == {"fillets-ng-data-nl", "hedgewars-data", "colobot-common-sounds"}


def unpacked(folder):
    for lang in ("fr", "it"):
        put(folder / f"usr/share/klettres/{lang}/alpha/a.ogg", tone(300 if lang == "fr" else 400))
    same = folder / "usr/share/klettres/fr/alpha/same.ogg"
    same.write_bytes(same.with_name("a.ogg").read_bytes())
    return folder


def test_a_package_is_cut_once_and_a_missing_one_is_named(tmp_path, store, caplog, monkeypatch):
    asked = []

    def fetch(kind, name, version, sha256, store):
        asked.append(name)
        if name != "klettres-data":
            raise Mistake(f"{name} could not be fetched")
        return unpacked(tmp_path / name)

    monkeypatch.setattr(packages, "fetch", fetch)
    monkeypatch.setattr(recorded, "PACKAGES", recorded.PACKAGES[:6])
    first = recorded.recorded(store, HERE)
    assert sorted((each.kind, each.split, each.source) for each in first) == [
        ("speech", "train", "klettres-data"),
        ("speech", "valid", "klettres-data"),
    ]
    assert "tuxpaint-stamps-default is left out" in caplog.text
    assert recorded.recorded(store, HERE) == first
    assert asked.count("klettres-data") == 1
    assert recorded.hours(first)["train", "speech", "klettres-data"] == pytest.approx(1 / 3600, rel=1)


def test_the_same_sound_is_kept_once(tmp_path):
    package = next(package for package in recorded.PACKAGES if package.name == "klettres-data")
    groups = list(recorded.groups(unpacked(tmp_path / "package"), package, tmp_path / "scratch"))
    assert sorted(len(group.paths) for group in groups) == [1, 1]


def test_what_is_in_the_store_is_not_asked_for(tmp_path, store):
    group = Group("music", "train", [put(tmp_path / "x.wav")])
    first = joined(store, "ab" * 16, "x", [group])
    assert joined(store, "ab" * 16, "x", (pytest.fail("asked") for _ in [0])) == first


def test_takes_log_nothing_when_all_is_well(tmp_path, store, caplog):
    caplog.set_level(logging.WARNING)
    put(tmp_path / "takes/1.wav", np.concatenate([np.zeros(3000), tone()]))
    assert len(folders.takes(Path(tmp_path / "takes"), "hey", store)) == 1
    assert caplog.text == ""
