"""`sourdine train`, whole: one folder at the end, nothing made twice, and the same bytes however often it was killed.

The training is tiny.toml's with the sounds of voicelike.py for an owner's: it hears next to nothing, but every step of
it is the real one, and each test run makes it once for all of these tests.
"""

import csv
import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

import voicelike
from sourdine_tools import cli
from sourdine_training import recipe, run
from sourdine_training.executor import Executor
from sourdine_training.store import Store
from sourdine_training.words import Line, Verdict

SOURDINE = Path(sys.executable).with_name("sourdine")
TINY = Path(__file__).with_name("tiny.toml")
NAME = "hey_sourdine"
MODEL = {f"{NAME}.json", f"{NAME}.tflite", f"{NAME}.sourdine.json"}  # and, if it helps, a second stage
NETS = {f"{net}.{ending}" for net in ("spotter-1", "verifier") for ending in ("npz", "csv", "png")}
MADE_OF = {"recipe.toml", "data.csv", "log.txt", "summary.json", "report"}
STAGES = ("recordings", "voices", "scenes", "nets", "export", "judgement")
PATIENCE_S = 300  # of a test that would otherwise wait for ever


@dataclass(frozen=True)
class Trained:
    folder: Path
    store: Path
    owned: dict[str, Path]  # what the owner brought
    said: str


def command(owned, out, workers=1):
    own = ["--takes", owned["takes"], "--negatives", owned["negatives"], "--data", owned["data"]]
    line = [SOURDINE, "train", "--recipe", TINY, *own, "--out", out, "--workers", workers]
    return [str(word) for word in line]


def environment(store):
    return os.environ | {"SOURDINE_CACHE": str(store), "PYTHONUNBUFFERED": "1"}


@contextmanager
def alone(path):
    """One test worker at a time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that nobody disturbed, made once even if several workers test."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"
    folder.mkdir(exist_ok=True)
    owned = {name: folder / "own" / name for name in ("takes", "negatives", "data")}
    with alone(folder / "lock"):
        if not (folder / "said").exists():
            voicelike.write(folder / "own")
            store = environment(folder / "store")
            done = subprocess.run(
                command(owned, folder / "out"),
                env=store,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            (folder / "said").write_text(done.stdout)
    return Trained(folder / "out", folder / "store", owned, (folder / "said").read_text())


def bytes_of(folder, names):
    return {name: (folder / name).read_bytes() for name in sorted(names)}


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_run_is_one_folder_with_all_that_it_made_and_was_made_of(trained):
    found = {path.name for path in trained.folder.iterdir()}
    assert found - {f"{NAME}.verify.tflite"} == MADE_OF | MODEL | NETS
    asked = recipe.read(
        TINY,
        takes=str(trained.owned["takes"]),
        negatives=str(trained.owned["negatives"]),
        data=(str(trained.owned["data"]),),
    )
    assert recipe.read(trained.folder / "recipe.toml") == asked
    manifest = json.loads((trained.folder / f"{NAME}.json").read_text())
    assert (manifest["wake_word"], manifest["model"]) == ("hey sourdine", f"{NAME}.tflite")
    known = summary(trained.folder)
    assert known["model"] == NAME
    assert [known["agreed"][net]["differing"] for net in ("spotter", "verifier")] == [0, 0]
    assert len(known["spotters"]) == 1
    assert 0 < known["peak_bytes"]
    assert "<html" in (trained.folder / "report/report.html").read_text()


def test_time_and_disk_are_said_before_and_what_to_do_next_after(trained):
    lines = trained.said.splitlines()
    ahead = next(at for at, line in enumerate(lines) if line.startswith("about "))
    ended = next(at for at, line in enumerate(lines) if line.startswith("“hey sourdine” is trained: "))
    assert lines[ahead].endswith(f"GB in {trained.store}")
    assert ahead < ended
    assert "sourdine flash --model hey_sourdine" in lines[-1]
    assert str(trained.folder / "report/report.html") in trained.said


def test_what_the_owner_brought_is_learnt_from_and_partly_kept_to_validate(trained):
    with (trained.folder / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["voice"], row["kind"], row["split"]) for row in rows}
    for split in ("train", "valid"):
        assert ("take owner", "positive", split) in found
        assert ("take owner", "near", split) in found
        assert any(
            (kind, "data") == (row["kind"], row["voice"]) for kind in ("speech", "music", "ambience") for row in rows
        )
    assert ("hibari heart", "positive", "train") in found
    sides = {row["voice"]: {each["split"] for each in rows if each["voice"] == row["voice"]} for row in rows}
    assert sides["hibari heart"] == {"train"}
    assert len({row["key"] for row in rows}) == len(rows)


def test_a_second_run_makes_nothing_anew(trained):
    def made():
        rooms = (path for path in trained.store.rglob("*") if path.is_file() and path.parent.name != "using")
        return {path: path.stat().st_ino for path in rooms if path.name != "lock"}

    with alone(trained.folder.parent / "lock"):
        before, models = made(), bytes_of(trained.folder, MODEL | NETS | {"data.csv", "recipe.toml"})
        log = (trained.folder / "log.txt").read_text()
        line = command(trained.owned, trained.folder)
        again = subprocess.run(line, env=environment(trained.store), capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        assert made() == before
        assert bytes_of(trained.folder, models) == models
        added = (trained.folder / "log.txt").read_text().removeprefix(log)
        assert ": done" not in added  # no stage was given a process
    assert again.stdout.splitlines()[-6:-2] == trained.said.splitlines()[-6:-2]


def killed_in(stage, later_s, line, store):
    """Run `line` until it says that a stage begins, and so much longer, and of nets until one of them keeps a checkpoint;
    then SIGKILL. Returns when all of it is gone.
    """
    process = subprocess.Popen(
        line,
        env=environment(store),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stderr
        said = []
        for line_ in process.stderr:
            said.append(line_)
            if f" {stage}: " in line_:
                break
        while stage == "nets" and process.poll() is None and not any(store.glob("work/*/*/checkpoint.npz")):
            time.sleep(0.005)  # a net half-trained is what is hardest to go on with
        time.sleep(later_s if stage != "nets" else 0)
        process.kill()
        said += process.stderr  # ends when no process of the run holds it any more
    assert process.returncode in (0, -signal.SIGKILL), "".join(said)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("what a killed run had started went on")


def test_killed_in_three_stages_and_begun_again_it_makes_the_same_bytes(trained, tmp_path):
    """The last run, too, is killed: where the model's files are there, and only their judgement is not."""
    rng = np.random.default_rng(4)
    store, out = tmp_path / "store", tmp_path / "out"
    shutil.copytree(trained.store / "words", store / "words")  # thinking of words is slow, and not what is killed here
    where = sorted(rng.choice(STAGES[:5], 2, replace=False).tolist() + ["nets"], key=STAGES.index)
    for number, stage in enumerate(where):
        line = command(trained.owned, out, workers=2 if number == 0 else 1)
        killed_in(stage, float(rng.uniform(0, 3)), line, store)
        assert not (out / "summary.json").exists()
    killed_in("judgement", 0, command(trained.owned, out), store)
    names = {path.name for path in trained.folder.iterdir()} - {"log.txt", "summary.json", "report"}
    assert bytes_of(out, names) == bytes_of(trained.folder, names)


# What people get wrong.


def refused(capsys, monkeypatch, store, *words):
    """What the one line on stderr says; nothing was fetched or spoken before."""

    def begun(*_):
        pytest.fail("it began")

    monkeypatch.setenv("SOURDINE_CACHE", str(store))
    monkeypatch.setattr(run, "recorded", begun)
    monkeypatch.setattr(run.voices, "speak", begun)
    status = cli.main(["train", *map(str, words)])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "% " not in line]
    assert status == 2
    assert line.startswith("sourdine train: ")
    return line


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name it in quotes"),
        (("hey sourdine", "--takes", "/nowhere"), "/nowhere is no folder"),
        (("hey sourdine", "--negatives", "/nowhere"), "/nowhere is no folder"),
        (("hey sourdine", "--data", "/nowhere"), "/nowhere is no folder"),
        (("hey sourdine", "--recipe", "/nowhere.toml"), "cannot read /nowhere.toml"),
        (("hey sourdine", "--workers", "0"), "name 1 or more with --workers"),
        (("hey sourdine", "--seeds", "0"), "choose 1 or more"),
        (("hey sourdine", "--seed", "-3"), "choose 0 or more"),
        (("hey sourdine", "--language", "xx"), "no language called 'xx'"),
        (("route 66",), "spell the numbers out"),
    ],
)
def test_a_mistake_is_said_in_one_line_and_nothing_is_spoken(capsys, monkeypatch, tmp_path, words, why):
    assert why in refused(capsys, monkeypatch, tmp_path / "store", *words, "--out", tmp_path / "out")


@pytest.fixture
def advised(monkeypatch):
    """A verdict and lines without the seconds of thinking about them; the verdict may be changed."""
    verdict = Verdict("hey sourdine", True, False, 97, ("It has four syllables.",), (("okay sourdine", 100),), ())
    told = [verdict]
    monkeypatch.setattr(run, "written", lambda *_: (told[0], [Line("hey sourdine", "positive", "en", "hˈA sˈʊɹdin")]))
    return told


def test_a_phrase_that_cannot_be_told_from_talk_is_refused_unless_forced(capsys, monkeypatch, tmp_path, advised):
    advised[0] = dataclasses.replace(advised[0], ok=False, refused=True, score=9)
    monkeypatch.setattr("sourdine_training.plan.SPARE_BYTES", 1 << 60)  # no further than that
    line = ("--recipe", TINY, "--out", tmp_path / "out")
    said = refused(capsys, monkeypatch, tmp_path / "store", *line)
    assert "choose “okay sourdine”, or insist with --force" in said
    assert "make room" in refused(capsys, monkeypatch, tmp_path / "store", *line, "--force")


@pytest.mark.parametrize(
    ("option", "why"), [("--takes", "no take of `hey sourdine`"), ("--data", "no recording of a kind that can be told")]
)
def test_a_folder_that_holds_nothing_of_use_is_known_at_once(capsys, monkeypatch, tmp_path, advised, option, why):
    (tmp_path / "empty").mkdir()
    mine = tmp_path / "mine.toml"
    mine.write_text(TINY.read_text().replace("recordings = false", "recordings = true"))
    line = ("--recipe", mine, option, tmp_path / "empty", "--out", tmp_path / "out")
    assert why in refused(capsys, monkeypatch, tmp_path / "store", *line)


def test_a_disk_without_room_is_known_before_anything_is_made(capsys, monkeypatch, tmp_path, advised):
    monkeypatch.setattr("sourdine_training.plan.SPARE_BYTES", 1 << 60)
    line = refused(capsys, monkeypatch, tmp_path / "store", "--recipe", TINY, "--out", tmp_path / "out")
    assert "make room" in line


def test_another_phrase_does_not_overwrite_a_training(capsys, monkeypatch, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "recipe.toml").write_text('phrase = "hey cello"\n')
    assert "holds the training of another phrase" in refused(
        capsys, monkeypatch, tmp_path, "hey sourdine", "--out", out
    )
    assert tomllib.loads((out / "recipe.toml").read_text()) == {"phrase": "hey cello"}


def test_two_runs_do_not_share_a_folder(capsys, monkeypatch, tmp_path):
    first = run.Run(recipe.Recipe(phrase="hey sourdine"), tmp_path / "out", Store(tmp_path), Executor.in_process)
    with first.at_work():
        assert "another run is at work" in refused(
            capsys, monkeypatch, tmp_path, "hey sourdine", "--out", tmp_path / "out"
        )


def test_what_is_left_out_is_said_and_not_only_logged(tmp_path):
    (tmp_path / "takes").mkdir()
    soundfile.write(tmp_path / "takes/silent.wav", np.zeros(16_000), 16_000)
    said = []
    mine = run.Run(recipe.Recipe(takes=str(tmp_path / "takes")), tmp_path / "out", Store(tmp_path), say=said.append)
    with mine.at_work(), pytest.raises(run.Mistake, match="holds no take"):
        mine._own()
    assert said == ["mind: left out: silent.wav: it is silent or shorter than 50 ms"]
    assert "silent.wav" in (tmp_path / "out/log.txt").read_text()
