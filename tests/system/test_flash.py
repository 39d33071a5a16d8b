"""`sourdine flash` on real MicroPython and real littlefs, cut at every write of the flash."""

import json

import pytest

from ramboard import RamBoard
from sourdine_board.mistake import Mistake
from sourdine_tools import board_files
from sourdine_tools.board_link import BoardFull
from sourdine_tools.flash import bring
from sourdine_tools.release import FIRMWARE, KEYSTONE, MANIFEST, Release

OLD = Release(
    "x64",
    {
        "/boot.py": b"# safe\n",
        "/main.py": b"import sourdine.app\n",
        "/sourdine/app.mpy": b"old app" * 300,
        "/sourdine/gate.mpy": b"gate" * 40,
        "/sourdine/gone.mpy": b"of the old release only",
        "/models/alexa.tflite": b"net" * 3000,
    },
)
NEW = Release(
    "x64",
    {
        "/boot.py": b"# safe, and newer\n",
        "/main.py": b"import sourdine.app\n",
        "/sourdine/app.mpy": b"new app" * 500,
        "/sourdine/gate.mpy": b"gate" * 40,
        "/sourdine/fresh.mpy": b"of the new release only" * 10,
        "/models/alexa.tflite": b"net" * 3000,
    },
)
NEW_MAIN = Release("x64", {**NEW.files, "/main.py": b"import sourdine.app, sourdine.fresh\n"})


@pytest.fixture(scope="module")
def chip():
    board = RamBoard()
    board.save("empty")
    yield board
    board.close()


@pytest.fixture
def board(chip):
    """An empty, formatted board."""
    chip.restore("empty")
    return chip


def holds(link, release):
    """The board's own program is exactly this release, whatever is staged beside it."""
    found = board_files.survey(link).hashes
    return {path: sha for path, sha in found.items() if not path.endswith(board_files.STAGED)} == release.hashes


def test_a_second_flash_copies_nothing(board):
    first = bring(board.link(), NEW)
    assert set(first.copied) == {*NEW.files, MANIFEST}
    writes = board.writes()
    second = bring(board.link(), NEW)
    assert (second.copied, second.removed) == ([], [])
    assert set(second.kept) == set(first.copied)
    assert board.writes() == writes


def test_only_what_changed_is_copied_and_what_is_gone_is_removed(board):
    bring(board.link(), OLD)
    report = bring(board.link(), NEW)
    assert set(report.copied) == {"/boot.py", "/sourdine/app.mpy", "/sourdine/fresh.mpy", MANIFEST}
    assert report.removed == ["/sourdine/gone.mpy"]
    assert holds(board.link(), NEW)


def test_strangers_stay_and_are_named(board):
    link = board.link()
    bring(link, OLD)
    board_files.write(link, "/notes.txt", b"mine")
    board_files.write(link, "/sourdine/gate.py", b"shadow")
    board_files.write(link, "/settings.json", b"{}")
    report = bring(link, NEW)
    assert report.strangers == ["/notes.txt", "/sourdine/gate.py"]
    assert {"/notes.txt", "/sourdine/gate.py", "/settings.json"} <= board_files.survey(link).hashes.keys()


@pytest.mark.parametrize("new", [NEW, NEW_MAIN], ids=["main.py stays", "main.py changes"])
def test_power_cut_at_any_write_never_leaves_a_mixture_and_a_second_flash_mends_it(board, new):
    bring(board.link(), OLD)
    board.save("old")
    start = board.writes()
    bring(board.link(), new)
    total = board.writes() - start
    assert total > 30
    seen = set()
    for cut in range(total):
        board.restore("old")
        board.cut_after(cut)
        with pytest.raises(Mistake, match="stopped answering"):
            bring(board.link(), new)
        board.power_cycle()
        link = board.link()
        if KEYSTONE in board_files.survey(link).hashes:
            state = "old" if holds(link, OLD) else "new"
            assert state == "old" or holds(link, new), f"a mixture would run after a cut at write {cut} of {total}"
        else:
            state = "none"
        seen.add(state)
        bring(link, new)
        assert board_files.survey(link).hashes == new.hashes, f"not mended after a cut at write {cut} of {total}"
    assert seen >= {"old", "none"}


def test_what_was_staged_before_a_cut_is_not_sent_again(board):
    bring(board.link(), OLD)
    link = board.link()
    board_files.write(link, "/sourdine/app.mpy.new", NEW.files["/sourdine/app.mpy"])
    sent = []
    bring(link, NEW, progress=lambda done, total, what: sent.append(what))
    assert "/sourdine/app.mpy" not in sent
    assert "/sourdine/fresh.mpy" in sent
    assert holds(link, NEW)


def test_a_full_board_is_refused_before_anything_is_touched(board):
    link = board.link()
    bring(link, OLD)
    board_files.write(link, "/holiday.mov", bytes(400_000))
    before, writes = board_files.survey(link), board.writes()
    big = Release("x64", {**NEW.files, "/sourdine/app.mpy": bytes(range(256)) * 400})
    with pytest.raises(BoardFull, match=r"has \d+ kB free and \d+ kB are needed: remove files of your own"):
        bring(link, big)
    assert board_files.survey(link) == before
    assert board.writes() == writes


def test_a_board_that_fills_up_half_way_says_so(board):
    link = board.link()
    board_files.write(link, "/holiday.mov", bytes(400_000))
    with pytest.raises(BoardFull, match="is full: remove files of your own"):
        board_files.write(link, "/more.mov", bytes(200_000))


@pytest.mark.parametrize(
    "claim",
    [
        b"",
        b"not json",
        b"[]",
        b'{"files": 3}',
        json.dumps({"files": {"/settings.json": 0, "/certs/key.der": 0, "/notes.txt": 0, "/sourdine/../notes.txt": 0}}),
    ],
)
def test_a_hostile_manifest_on_the_board_removes_nothing_of_the_owner(board, claim):
    link = board.link()
    for path in ("/settings.json", "/certs/key.der", "/notes.txt"):
        board_files.write(link, path, b"mine")
    board_files.write(link, MANIFEST, claim.encode() if isinstance(claim, str) else claim)
    assert bring(link, NEW).removed == []
    assert {"/settings.json", "/certs/key.der", "/notes.txt"} <= board_files.survey(link).hashes.keys()


def test_progress_ends_at_the_whole(board):
    steps = []
    bring(board.link(), NEW, progress=lambda *step: steps.append(step))
    total = sum(map(len, NEW.everything.values()))
    assert steps[-1][:2] == (total, total)
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)


def test_the_whole_firmware_fits_a_board_and_is_read_back(board):
    release = Release.build("x64", FIRMWARE)
    bring(board.link(), release)
    assert holds(board.link(), release)
