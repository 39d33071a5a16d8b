"""The tests in tests/portable, which pytest itself runs on CPython, on the interpreter that ships."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.executable).with_name("micropython")


def run(folder):
    return subprocess.run(
        [MICROPYTHON, ROOT / "tests/portable/run.py"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_portable_tests_pass_on_micropython():
    result = run(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    for file in (ROOT / "tests/portable").glob("test_*.py"):
        count = file.read_text().count("\ndef test_")
        assert f"{file.name} {count} passed" in result.stdout


def test_a_failing_portable_test_is_reported(tmp_path):
    folder = tmp_path / "tests/portable"
    folder.mkdir(parents=True)
    (folder / "test_wrong.py").write_text("def test_right():\n    pass\n\n\ndef test_wrong():\n    assert 1 == 2\n")
    result = run(tmp_path)
    assert result.returncode == 1
    assert "FAILED test_wrong.py test_wrong" in result.stdout
    assert "test_wrong.py 1 passed" in result.stdout
