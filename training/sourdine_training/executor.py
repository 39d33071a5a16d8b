"""Who does the work: this process, a few more on this machine, or a Dask cluster. The result is the same bytes.

    with Executor.processes(2) as executor:
        for clip in executor.map(speak, sayings):
            …

What is mapped is a function of a module and picklable items, and depends on nothing else, so it does not matter
who calls it. Workers are spawned, not forked, so they hold nothing of this process: no TensorFlow, no threads.
"""

import collections
import concurrent.futures
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Self

from sourdine_board.mistake import Mistake

NICE = 10  # workers give way to whatever the owner does meanwhile
AHEAD = 3  # tasks in hand for each worker; more would only be memory
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # one thread each: the workers are many


class Executor:
    """Does the work in this process; the base of those that do not. Close it, or use it in a `with`."""

    workers = 1

    @staticmethod
    def in_process(workers: int = 1) -> "Executor":
        """Here, or in so many processes of this machine when that is more than one."""
        return Executor() if workers == 1 else Executor.processes(workers)

    @staticmethod
    def processes(workers: int) -> "Executor":
        """That many processes of this machine, started when the first work comes."""
        return _Processes(workers)

    @staticmethod
    def dask(address: str) -> "Executor":
        """The workers of the Dask scheduler at `address`; they need the same release, and the same store by its path."""
        return _Dask(address)

    def map(self, function: Callable[[Any], Any], items: Iterable, chunk: int = 1) -> Iterator[Any]:
        """function(item) of each item, in order, each as soon as it and all before it are there.

        Items go out `chunk` at a time. What function raises is raised here, with a note that names the item; then,
        or when the caller stops asking, what has not begun is dropped.
        """
        for item in items:
            yield _named(function, item)

    def close(self) -> None:
        """Let the workers go."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self._abandon()
        self.close()

    def _abandon(self) -> None:
        """What is being done is in vain."""


class _Submitting(Executor):
    """map() over tasks that are handed in and waited for."""

    def map(self, function: Callable[[Any], Any], items: Iterable, chunk: int = 1) -> Iterator[Any]:
        rest = iter(items)
        chunks = iter(lambda: list(itertools.islice(rest, chunk)), [])
        waiting = collections.deque()
        try:
            for part in itertools.islice(chunks, AHEAD * self.workers):
                waiting.append(self._submit(function, part))
            while waiting:
                results = self._result(waiting.popleft())
                for part in itertools.islice(chunks, 1):
                    waiting.append(self._submit(function, part))
                yield from results
        finally:
            for task in waiting:
                task.cancel()

    def _submit(self, function: Callable, part: list) -> Any:
        raise NotImplementedError

    def _result(self, task: Any) -> list:
        raise NotImplementedError


class _Processes(_Submitting):
    """Each worker holds the reading end of a pipe and ends when the writing end closes, so killing us ends them."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise Mistake(f"{workers} workers do no work: name 1 or more with --workers")
        self.workers = workers
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None
        self._leash: Any = None

    def _submit(self, function: Callable, part: list) -> Any:
        if not self._pool:
            context = multiprocessing.get_context("spawn")
            held, self._leash = context.Pipe(duplex=False)
            self._pool = concurrent.futures.ProcessPoolExecutor(self.workers, context, _settle, (held,))
        try:
            return self._pool.submit(_part, function, part)
        except BrokenProcessPool as error:
            raise self._broken() from error

    def _result(self, task: Any) -> list:
        try:
            return task.result()
        except BrokenProcessPool as error:
            raise self._broken() from error

    def _broken(self) -> Mistake:
        self._abandon()
        return Mistake("a worker was killed, most likely for want of memory: run this again with fewer --workers")

    def _abandon(self) -> None:
        if self._pool:
            self._leash.close()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._leash.close()
            self._pool = None


class _Dask(_Submitting):
    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError as error:
            raise Mistake("Dask is not installed: pip install -e '.[train]'") from error
        try:
            self._client = distributed.Client(address, timeout="20s", set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise Mistake(f"no Dask scheduler answers at {address}: start `dask scheduler`, or check --dask") from error
        threads: Any = self._client.nthreads()
        self.workers = sum(threads.values())
        if not self.workers:
            self._client.close()
            raise Mistake(
                f"the Dask scheduler at {address} has no workers: start `dask worker {address}` on some machine"
            )
        self._killed = distributed.KilledWorker

    def _submit(self, function: Callable, part: list) -> Any:
        return self._client.submit(_part, function, part, pure=False)

    def _result(self, task: Any) -> list:
        try:
            return task.result()
        except self._killed as error:
            raise Mistake(
                "Dask workers were killed, most likely for want of memory: give them fewer threads"
            ) from error

    def close(self) -> None:
        self._client.close()


def _settle(leash: Any) -> None:
    """A worker's first step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who holds the leash
    os.environ.update(dict.fromkeys(THREADS, "1"))
    os.nice(NICE)
    threading.Thread(target=_follow, args=(leash,), daemon=True).start()


def _follow(leash: Any) -> None:
    try:
        leash.recv()
    except (EOFError, OSError):
        os._exit(1)


def _part(function: Callable, part: list) -> list:
    return [_named(function, item) for item in part]


def _named(function: Callable, item: Any) -> Any:
    try:
        return function(item)
    except Exception as error:
        error.add_note(f"in {getattr(function, '__name__', function)} of {item!r:.300}")
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001  it could not travel back, and would take the pool with it
            raise RuntimeError(f"{type(error).__name__}: {error}; {error.__notes__[-1]}") from None
        raise
