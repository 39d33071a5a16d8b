"""The store promises whole files or none, one name for one content, and that nobody's work is taken away."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourdine_training import store
from sourdine_training.store import Store, key

DAY = 86_400
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True)
class Options:
    count: int = 3
    speed: float = 1.0


@dataclass(frozen=True)
class Other:
    count: int = 3
    speed: float = 1.0


@given(VALUES, VALUES)
def test_equal_values_have_equal_keys_and_others_do_not(one, other):
    assert key(one) == key(one)
    assert (key(one) == key(other)) == (repr(store.plain(one)) == repr(store.plain(other)) or one == other == {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        (b"a", "a"),
        (0.1, 0.1 + 2**-56),
        (Options(), Other()),
        (Options(), Options(speed=1.5)),
        (np.zeros(4, np.int8), np.zeros(4, np.uint8)),
        (np.zeros(4), np.zeros((2, 2))),
        (["a", "b"], ["ab"]),
    ],
)
def test_what_differs_only_a_little_has_another_key(one, other):
    assert key(one) != key(other)


def test_a_key_is_the_same_in_every_process():
    code = "from sourdine_training.store import key; print(key('hey', 3, 0.1, {'b': 1, 'a': [2, None]}))"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in "12"
    }
    assert said == {key("hey", 3, 0.1, {"a": [2, None], "b": 1})}


def test_numpys_numbers_are_numbers():
    assert key(np.int64(3), np.float64(0.5)) == key(3, 0.5)


def test_a_path_stands_for_what_it_holds(tmp_path):
    (tmp_path / "one").write_text("hey")
    (tmp_path / "other").write_text("hey")
    assert key(tmp_path / "one") == key(tmp_path / "other")
    before = key(tmp_path)
    (tmp_path / "other").write_text("hoy")
    assert key(tmp_path / "one") != key(tmp_path / "other")
    assert key(tmp_path) != before


@pytest.mark.parametrize("value", [{1: 2}, {1, 2}, object(), Options])
def test_what_has_no_one_spelling_has_no_key(value):
    with pytest.raises(TypeError):
        key(value)


def test_the_owner_says_where_the_store_is(monkeypatch, tmp_path):
    monkeypatch.delenv("SOURDINE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store().root == tmp_path / "sourdine/training"
    monkeypatch.setenv("SOURDINE_CACHE", str(tmp_path / "own"))
    assert Store().root == tmp_path / "own"


def test_what_fails_half_way_leaves_nothing(tmp_path):
    path = Store(tmp_path).path("room", key(1), ".bin")

    def half(scratch):
        scratch.write_bytes(b"half")
        raise ValueError("the rest is missing")

    with pytest.raises(ValueError, match="the rest"), Store(tmp_path).writing(path) as scratch:
        half(scratch)
    assert list(path.parent.iterdir()) == []


def test_a_writer_that_is_killed_leaves_no_half_file(tmp_path):
    code = """
import sys, time
from pathlib import Path
from sourdine_training.store import Store, key
store = Store(Path(sys.argv[1]))
with store.writing(store.path("room", key(1), ".bin")) as scratch:
    scratch.write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"half\n"
        writer.send_signal(signal.SIGKILL)
    path = Store(tmp_path).path("room", key(1), ".bin")
    assert not path.exists()
    (scratch,) = path.parent.iterdir()
    os.utime(scratch, (time.time() - 2 * DAY,) * 2)
    Store(tmp_path).trim()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("folder", [False, True])
def test_whoever_loses_a_race_finds_the_whole_thing(tmp_path, folder):
    shelf = Store(tmp_path)
    path = shelf.path("room", key(1))
    together = threading.Barrier(8)

    def write():
        with shelf.writing(path) as scratch:
            if folder:
                scratch.mkdir()
            (scratch / "whole" if folder else scratch).write_bytes(b"whole" * 1000)
            together.wait()
        seen.append((path / "whole" if folder else path).read_bytes())

    seen = []
    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [b"whole" * 1000] * 8
    assert list(path.parent.iterdir()) == [path]


def filled(root, count=5, size=100):
    """Things of `size` bytes, the first of them used longest ago."""
    shelf = Store(root)
    paths = [shelf.path("room", key(each), ".bin") for each in range(count)]
    for age, path in enumerate(reversed(paths)):
        path.write_bytes(bytes(size))
        os.utime(path, (time.time() - DAY - age,) * 2)
    return shelf, paths


def there(paths):
    return [path.exists() for path in paths]


def test_trimming_takes_what_was_used_least_recently(tmp_path):
    shelf, paths = filled(tmp_path)
    assert shelf.size() == 500
    assert shelf.trim(limit=250) == 300
    assert there(paths) == [False, False, False, True, True]
    assert shelf.size() == 200
    assert shelf.trim(limit=250) == 0


def test_asking_for_a_thing_is_using_it(tmp_path):
    shelf, paths = filled(tmp_path)
    assert shelf.path("room", key(0), ".bin") == paths[0]
    shelf.trim(limit=200)
    assert there(paths) == [True, False, False, False, True]


def test_trimming_keeps_what_it_is_told_to(tmp_path):
    shelf, paths = filled(tmp_path)
    assert shelf.trim(limit=0, keep=[paths[1]]) == 400
    assert there(paths) == [False, True, False, False, False]


def test_trimming_keeps_what_a_run_at_work_has_asked_for(tmp_path):
    shelf, paths = filled(tmp_path)
    with shelf.using():
        shelf.path("room", key(2), ".bin")
        Store(tmp_path).trim(limit=0)
        assert there(paths) == [False, False, True, False, False]
    shelf.trim(limit=0)
    assert not paths[2].exists()


def test_a_run_that_was_killed_keeps_nothing(tmp_path):
    shelf, paths = filled(tmp_path)
    code = "import sys, os\nfrom sourdine_training.store import *\nwith Store(Path(sys.argv[1])).using(): os._exit(9)"
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert list((tmp_path / store.USING).iterdir())
    shelf.path("room", key(2), ".bin")
    shelf.trim(limit=0)
    assert there(paths) == [False] * 5


def test_a_link_to_nowhere_is_kept_as_it_is(tmp_path):
    shelf = Store(tmp_path)
    path = shelf.path("packages", key("links"))
    with shelf.writing(path) as scratch:
        scratch.mkdir()
        (scratch / "gone").symlink_to("/nowhere/at/all")
    assert (path / "gone").is_symlink()
    assert shelf.size() >= 0


def test_a_folder_goes_and_counts_as_one_thing(tmp_path):
    shelf = Store(tmp_path)
    path = shelf.path("packages", key("voice"))
    with shelf.writing(path) as scratch:
        (scratch / "deep").mkdir(parents=True)
        (scratch / "deep/data").write_bytes(bytes(5000))
    assert shelf.size() >= 5000
    shelf.trim(limit=100)
    assert not path.exists()
    assert not list(Path(tmp_path).rglob("data"))
