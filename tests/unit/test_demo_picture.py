"""Picture, page and note come out of an evening, good or bad, and say which it was."""

import numpy as np
import pytest
import soundfile

from house import PRESSED, RATE, ROOM, WOKE, House
from sourdine_tools.demo import note, page, picture
from sourdine_tools.demo.evening import Evening
from sourdine_tools.demo.scene import COMMAND, PRIVATE, WAKE, Scene, Utterance


@pytest.fixture
def evening(tmp_path):
    """Talk, a wake word at 4 s, a command, talk, and a wake word that a closed contact kept out."""
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, 0.3 * np.sin(np.arange(RATE) / 5), RATE)
    lines = (
        (1.0, PRIVATE, False),
        (4.0, WAKE, False),
        (6.0, COMMAND, False),
        (12.0, PRIVATE, False),
        (22.0, WAKE, True),
    )
    said = [Utterance(at, 1.0, kind, "Ann", f"Words & <{kind}>.", clip, muted) for at, kind, muted in lines]
    scene = Scene("A test", ROOM / RATE, utterances=said, events=[(PRESSED / RATE, "press"), (28.0, "release")])
    house = House()
    house.wake(WOKE + 200)
    house.audio(WOKE + 600, 3 * RATE)
    house.end(WOKE + 4 * RATE)
    house.heard[PRESSED + 60 : 28 * RATE] = 0
    scores = np.array([[at, 0.97 if 5 <= at < 5.2 else 0.01] for at in np.arange(0, 30, 0.03)])
    held = np.array([[0, 0], [6, 9600], [9, 0]])
    return Evening(scene, scene.samples(), house.heard, scores, scores, 0.9, house.judge(), held, 0)


def spoilt(evening):
    house = House()
    house.wake(2 * RATE)
    house.audio(RATE, RATE)
    evening.verdict = house.judge()
    return evening


def test_the_evening_is_told_in_figures(evening):
    words = evening.hearing()
    assert [said.at for said in words.heard] == [4.0]
    assert [said.at for said in words.deaf] == [22.0]
    assert (words.missed, words.false) == ([], [])
    assert [(arrived, samples) for _, arrived, samples in evening.commands()] == [(RATE, RATE)]
    assert evening.private() == (0, 2 * RATE)
    assert evening.good
    assert evening.as_scripted
    assert "No leak" in note.headline(evening)


def test_a_wake_word_without_a_decision_is_missed_and_a_decision_without_one_is_false(evening):
    evening.verdict.lawful = [(15 * RATE, 16 * RATE)]
    assert [said.at for said in evening.hearing().missed] == [4.0]
    assert "Missed: Ann (best score 0.97, by the reference 0.97)." in note.summary([evening])
    assert evening.hearing().false == [15.0]
    evening.verdict.left = np.arange(12 * RATE, 13 * RATE)
    assert "16,000 of 32,000 samples left (it follows a false wake)" in " ".join(note.accounting(evening))
    assert not evening.as_scripted


def test_a_command_that_is_cut_short_is_not_as_scripted(evening):
    evening.verdict.left = evening.verdict.left[: RATE // 2 + RATE - 600]
    assert evening.commands()[0][1] < RATE
    assert "Ann (50%)" in " ".join(note.summary([evening]))
    assert not evening.as_scripted


def test_the_figures_add_up(evening):
    text = " ".join(note.accounting(evening)).replace(",", "")
    layers, size = evening.verdict.layers, sum(evening.verdict.bytes.values())
    assert f"sockets took {layers['relay']} = the network carried {layers['relay']}" in text
    assert f"data {size}." in text
    parts = ("handshake", "change cipher", "alert", "data", "unfinished")
    assert sum(layers.get(part, 0) for part in parts) == layers["relay"]


def test_a_leak_is_the_headline(evening):
    assert note.headline(spoilt(evening)).startswith("LEAK: 16,000 samples (1.0 s) captured outside")
    evening.verdict.leaks.clear()
    evening.on_disk = 100
    assert "100 samples" in note.headline(evening)
    assert "disk" in note.headline(evening)


@pytest.mark.parametrize("spoil", [lambda evening: evening, spoilt], ids=["good", "leak"])
def test_picture_and_page_are_written(evening, tmp_path, spoil):
    evening = spoil(evening)
    picture.draw(evening, tmp_path / "p.png")
    page.write(evening, tmp_path / "p.png", tmp_path / "p.html")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "p.html").read_text()
    assert note.headline(evening) in text
    assert "http" not in text  # nothing is loaded from anywhere
    assert text.count("data:audio/mpeg") == 3


@pytest.mark.parametrize(("seconds", "hint"), [(30.0, "fits"), (120.0, "")])
def test_the_page_follows_light_and_dark_and_says_where_a_picture_does_not_fit(evening, tmp_path, seconds, hint):
    evening.room = np.zeros(int(seconds * RATE), np.int16)
    picture.draw(evening, tmp_path / "p.png")
    page.write(evening, tmp_path / "p.png", tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text()
    assert "prefers-color-scheme: dark" in text
    assert f'<p class="{hint}">The picture is wider than this window' in text


def test_a_room_in_which_nothing_happened_can_be_drawn(tmp_path):
    scene = Scene("Nobody is at home", 5.0)
    nothing = np.zeros(5 * RATE, np.int16)
    house = House()
    house.decisions, house.presses, house.cuts = [], [], []
    evening = Evening(
        scene, nothing, nothing, np.zeros((0, 2)), np.zeros((0, 2)), 0.9, house.judge(), np.zeros((0, 2)), 0
    )
    picture.draw(evening, tmp_path / "p.png")
    assert (tmp_path / "p.png").exists()


def test_the_button_still_in_at_the_end_is_muted_to_the_end():
    scene = Scene("", 9.0, events=[(1.0, "press"), (2.0, "release"), (5.0, "press")])
    assert picture.mutes(scene, 9.0) == [(1.0, 2.0), (5.0, 9.0)]
