"""`sourdine verify` against a board and against a dump of its flash: same answers, real littlefs."""

import argparse
import contextlib
import struct

import pytest

from ramboard import RamBoard
from sourdine_board.mistake import Mistake
from sourdine_tools import board_files, verify
from sourdine_tools.flash import bring
from sourdine_tools.image import TABLE
from sourdine_tools.release import Release


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A small firmware folder with its model."""
    folder = tmp_path_factory.mktemp("firmware")
    for name, text in {
        "boot.py": "# safe\n",
        "main.py": "import sourdine.gate\n",
        "sourdine/__init__.py": "",
        "sourdine/gate.py": "open = False\n",
        "sourdine/wire.py": "TYPES = 3\n",
        "models/word.json": "{}",
        "models/word.tflite": "net",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def chip():
    board = RamBoard(blocks=32)
    board.save("empty")
    yield board
    board.close()


@pytest.fixture
def board(chip, source):
    """A board that holds the release."""
    chip.restore("empty")
    bring(chip.link(), Release.build("x64", source, "word"))
    return chip


def ask(board, source, image):
    """The same question by the wire and by the dump."""
    wire = verify.compare(Release.build("x64", source, "word"), board_files.survey(board.link()))
    image.write_bytes(board.image())
    assert verify.verify_image(image, source, "word", "x64") == wire
    return wire


def test_a_fresh_board_is_clean(board, source, tmp_path):
    assert ask(board, source, tmp_path / "flash.bin").clean


def test_altered_missing_and_strange_files_are_named(board, source, tmp_path):
    link = board.link()
    board_files.write(link, "/sourdine/gate.mpy", b"M\x06 open")
    board_files.write(link, "/sourdine/gate.py", b"open = True\n")
    board_files.write(link, "/lib/ssl.py", b"")
    board_files.write(link, "/wörter.txt", b"mine")
    board_files.remove(link, ["/sourdine/wire.mpy"])
    link.run("import os\nos.mkdir('/sourdine/wire')")
    report = ask(board, source, tmp_path / "flash.bin")
    assert report.altered == ["/sourdine/gate.mpy"]
    assert report.missing == ["/sourdine/wire.mpy"]
    assert report.strangers == ["/lib/", "/lib/ssl.py", "/sourdine/gate.py", "/sourdine/wire/", "/wörter.txt"]
    assert not report.clean


def test_a_manifest_that_was_made_to_fit_does_not_help(board, source, tmp_path):
    link = board.link()
    board_files.write(link, "/sourdine/gate.mpy", b"M\x06 open")
    forged = Release("x64", {**Release.build("x64", source, "word").files, "/sourdine/gate.mpy": b"M\x06 open"})
    board_files.write(link, "/manifest.json", forged.manifest)
    assert ask(board, source, tmp_path / "flash.bin").altered == ["/manifest.json", "/sourdine/gate.mpy"]


def test_the_households_own_files_are_exempt_and_listed(board, source, tmp_path):
    for path in ("/settings.json", "/certs/ca.der", "/certs/device.der", "/certs/key.der"):
        board_files.write(board.link(), path, b"own")
    report = ask(board, source, tmp_path / "flash.bin")
    assert report.clean
    assert report.exempt == ["/settings.json", "/certs/ca.der", "/certs/device.der", "/certs/key.der"]


def entry(label, kind, subtype, start, size):
    return struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, start, size, label, 0)


@pytest.mark.parametrize("listed", [True, False], ids=["vfs in the table", "vfs behind the last partition"])
def test_the_filesystem_is_found_in_a_dump_of_the_whole_flash(board, source, tmp_path, listed):
    table = entry(b"nvs", 1, 2, 0x9000, 0x6000) + entry(b"factory", 0, 0, 0x10000, 0x20000)
    if listed:
        table += entry(b"vfs", 1, 0x81, 0x30000, len(board.image()))
    head = bytes(TABLE) + table
    (tmp_path / "flash.bin").write_bytes(head.ljust(0x30000, b"\xff") + board.image())
    assert verify.verify_image(tmp_path / "flash.bin", source, "word", "x64").clean


def test_a_dump_without_a_filesystem_says_how_to_make_one(tmp_path, source):
    (tmp_path / "noise.bin").write_bytes(bytes(100_000))
    with pytest.raises(Mistake, match="neither an ESP32 flash nor a littlefs image: make it with `esptool read_flash"):
        verify.verify_image(tmp_path / "noise.bin", source, "word")
    with pytest.raises(Mistake, match="cannot read .*none.bin"):
        verify.verify_image(tmp_path / "none.bin", source, "word")
    table = entry(b"vfs", 1, 0x81, 0x30000, 0x10000)
    (tmp_path / "blank.bin").write_bytes((bytes(TABLE) + table).ljust(0x40000, b"\xff"))
    with pytest.raises(Mistake, match="has no littlefs in its vfs partition"):
        verify.verify_image(tmp_path / "blank.bin", source, "word")


def test_a_damaged_dump_is_a_mistake_not_a_crash(board, source, tmp_path):
    whole = bytearray(board.image())
    for start in range(0, len(whole), 4096):
        whole[start + 600 : start + 4096] = b"\xa5" * 3496
    (tmp_path / "flash.bin").write_bytes(whole)
    with contextlib.suppress(Mistake):
        assert not verify.verify_image(tmp_path / "flash.bin", source, "word", "x64").clean


def transcript(board, source, tmp_path, capsys):
    (tmp_path / "flash.bin").write_bytes(board.image())
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    options = ["--image", str(tmp_path / "flash.bin"), "--source", str(source), "--model", "word", "--arch", "x64"]
    return verify.run(parser.parse_args(options)), capsys.readouterr().out.splitlines()


def test_the_command_says_clean_and_what_it_did_not_check(board, source, tmp_path, capsys):
    status, lines = transcript(board, source, tmp_path, capsys)
    assert status == 0
    assert lines == [
        "exempt    the ledger (in NVS, outside the filesystem)",
        "every file is as released",
        "Only the filesystem was checked, not the interpreter, NVS or other partitions.",
    ]


def test_the_command_warns_of_a_file_that_runs_instead_of_ours(board, source, tmp_path, capsys):
    board_files.write(board.link(), "/sourdine/gate.py", b"open = True\n")
    status, lines = transcript(board, source, tmp_path, capsys)
    assert status == 1
    assert lines[0] == "stranger  /sourdine/gate.py (runs instead of /sourdine/gate.mpy)"
    assert "this board differs from the release" in lines


def test_the_command_says_how_to_compare_an_accelerator(board, source, tmp_path, capsys):
    board_files.write(board.link(), "/sourdine/accel.mpy", b"whose?")
    status, lines = transcript(board, source, tmp_path, capsys)
    assert status == 1
    assert lines[0].startswith("stranger  /sourdine/accel.mpy (was it flashed with --accel?")
