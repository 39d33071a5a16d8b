"""Whoever does the work, the results are the same, in order, and trouble says which item it was."""

import gc
import os
import signal
import subprocess
import sys
import warnings
from functools import partial

import pytest

from labour import dies, noise, oddly, refuses_five, whoami
from sourdine_board.mistake import Mistake
from sourdine_training import executor
from sourdine_training.executor import Executor


@pytest.fixture(scope="module")
def two():
    with Executor.processes(2) as workers:
        yield workers


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and two worker processes of this machine."""
    distributed = pytest.importorskip("distributed")
    with (
        warnings.catch_warnings(action="ignore"),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, protocol="tcp"
        ) as local,
    ):
        yield local.scheduler_address
    gc.collect()


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_two_workers_give_the_same_bytes_in_the_same_order(two, chunk):
    expected = list(Executor.in_process().map(noise, range(20)))
    assert len(set(expected)) == 20
    assert list(two.map(noise, range(20), chunk)) == expected


def test_a_dask_cluster_of_two_gives_the_same_bytes_and_names_trouble_alike(cluster):
    with Executor.dask(cluster) as far:
        assert far.workers == 2
        assert list(far.map(noise, range(20), 3)) == [noise(item) for item in range(20)]
        assert len({process for process, *_ in far.map(whoami, range(20))} - {os.getpid()}) == 2
        with pytest.raises(ValueError, match="no fives") as caught:
            list(far.map(refuses_five, range(20)))
        assert caught.value.__notes__ == ["in refuses_five of 5"]


def test_nothing_to_do_is_done(two):
    assert list(two.map(noise, [])) == []
    assert list(Executor.in_process().map(noise, [])) == []


def test_work_is_fetched_no_further_ahead_than_it_is_done(two):
    asked = []

    def endless():
        for item in range(10**9):
            asked.append(item)
            yield item

    results = two.map(refuses_five, endless())
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert len(asked) <= 3 + executor.AHEAD * 2 + 1


def test_trouble_names_its_item_wherever_it_happened(two):
    for workers in (two, Executor.in_process()):
        got = []
        with pytest.raises(ValueError, match="no fives") as caught:
            got.extend(workers.map(refuses_five, range(20), 2))
        assert caught.value.__notes__ == ["in refuses_five of 5"]
    assert list(two.map(refuses_five, range(3))) == [0, 1, 2]


def test_a_partial_function_has_no_name_and_its_trouble_is_told_all_the_same():
    with pytest.raises(ValueError, match="no fives"):
        list(Executor.in_process().map(partial(refuses_five), [5]))


def test_trouble_that_cannot_travel_is_told_in_words(two):
    with pytest.raises(RuntimeError, match="Odd: odd; in oddly of 'it'"):
        list(two.map(oddly, ["it"]))


def test_a_worker_that_is_killed_says_what_to_do_and_the_next_work_finds_new_ones():
    with Executor.processes(1) as workers:
        with pytest.raises(Mistake, match="fewer --workers"):
            list(workers.map(dies, [1]))
        assert list(workers.map(refuses_five, [1])) == [1]


def test_workers_are_others_give_way_and_use_one_thread(two):
    before = os.nice(0)
    for process, nice, threads in two.map(whoami, range(4)):
        assert process != os.getpid()
        assert nice == min(before + executor.NICE, 19)
        assert threads == "1"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_owner(tmp_path, end):
    """Its owner is interrupted, or killed, while both workers are busy; they hold its pipe until they are gone."""
    (tmp_path / "busy.py").write_text(r"""
import os, time
from sourdine_training.executor import Executor
def busy(item):
    os.write(1, f"{item}\n".encode())  # in one piece: the other writes too
    time.sleep(60)
if __name__ == "__main__":
    with Executor.processes(2) as workers:
        list(workers.map(busy, range(9)))
""")
    owner = subprocess.Popen(
        [sys.executable, tmp_path / "busy.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with owner:
        assert {owner.stdout.readline(), owner.stdout.readline()} == {"0\n", "1\n"}
        owner.send_signal(end)
        rest = owner.stdout.read()  # ends when nobody holds the pipe's other end any more
        assert owner.wait() != 0
    assert rest == ""


def test_no_scheduler_says_what_to_do():
    with pytest.raises(Mistake, match="--workers"):
        Executor.processes(0)
