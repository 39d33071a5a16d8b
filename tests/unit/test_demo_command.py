"""What a person may type wrong at `sourdine demo`, and what it says then."""

import importlib.util
import subprocess
import sys

import pytest

from sourdine_tools import cli
from sourdine_tools.demo import broken, real
from sourdine_tools.release import FIRMWARE


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["--talk", "."], "belong together"),
        (["--wake", ".", "--command", "."], "belong together"),
        (["--real", "--talk", ".", "--wake", ".", "--command", "."], "leave out --talk"),
        (["--speakers", "5"], "with --real"),
        (["--real", "--speakers", "0"], "from 1 up"),
    ],
)
def test_arguments_that_contradict_each_other_are_a_mistake(typed, says, capsys):
    assert cli.main(["demo", *typed]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path, capsys):
    nowhere = str(tmp_path / "nowhere")
    assert cli.main(["demo", "--talk", nowhere, "--wake", nowhere, "--command", nowhere, "--out", str(tmp_path)]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_made_is_a_mistake(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--out", str(tmp_path / "file" / "demo")]) == 2
    assert "choose another folder with --out" in capsys.readouterr().err


def test_without_the_demo_extra_it_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None; from sourdine_tools import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "demo", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "matplotlib is not installed: pip install -e '.[demo]'" in done.stderr


def test_real_speakers_that_are_not_there_are_a_mistake_that_says_what_else_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(real.rooms, "__defaults__", (tmp_path, 8))
    assert cli.main(["demo", "--real", "--out", str(tmp_path)]) == 2
    assert f"no real recordings in {tmp_path}" in capsys.readouterr().err


def test_the_broken_firmware_is_a_copy_in_which_only_the_gate_differs(tmp_path):
    copy = broken.broken_firmware(tmp_path)
    names = [path.relative_to(FIRMWARE) for path in FIRMWARE.rglob("*.py")]
    assert [str(name) for name in names if (copy / name).read_bytes() != (FIRMWARE / name).read_bytes()] == [
        "sourdine/gate.py"
    ]


def module(path):
    spec = importlib.util.spec_from_file_location("gate", path)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_broken_gate_opens_without_a_wake_and_the_shipped_one_does_not(tmp_path):
    class Outlet:
        opened = 0

        def begin(self, first):
            self.opened += 1
            return True

    outlets = []
    for source in (FIRMWARE, broken.broken_firmware(tmp_path)):
        outlet = Outlet()
        gate = module(source / "sourdine" / "gate.py").Gate(outlet)
        gate.tell("unmute")
        gate.tell("quiet")
        outlets.append(outlet.opened)
    assert outlets == [0, 1]
