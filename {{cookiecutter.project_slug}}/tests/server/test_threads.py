import asyncio
import threading
from types import SimpleNamespace

import pytest

from server import threads
from server.threads import MIN_THREADS, ThreadPool


@pytest.fixture
def gate():
    """Calls in the pool wait for this event."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def clock(monkeypatch):
    """Set the time and the CPU time that the pool sees."""
    clock = SimpleNamespace(now=0.0, cpu=0.0)
    clock.monotonic = lambda: clock.now
    clock.process_time = lambda: clock.cpu
    monkeypatch.setattr(threads, "time", clock)
    return clock


def submit(pool, function, number):
    """Call a function `number` times in the pool; return the futures."""

    async def submit():
        return [pool.submit(function) for _ in range(number)]

    return asyncio.run(submit())


def test_result_and_exception_are_returned():
    pool = ThreadPool(max_threads=4)
    one, two = *submit(pool, lambda: 1, 1), *submit(pool, lambda: 1 / 0, 1)

    assert one.result() == 1
    with pytest.raises(ZeroDivisionError):
        two.result()
    pool.shutdown()


def test_threads_are_added_while_they_wait(gate, clock):
    pool = ThreadPool(max_threads=50)

    submit(pool, gate.wait, 30)

    assert len(pool.threads) == 30


def test_number_of_threads_is_limited(gate, clock):
    pool = ThreadPool(max_threads=10)

    submit(pool, gate.wait, 30)

    assert len(pool.threads) == 10


def test_no_thread_is_added_while_they_compute(gate, clock):
    pool = ThreadPool(max_threads=50)
    submit(pool, gate.wait, MIN_THREADS)
    clock.now = clock.cpu = clock.progress_at = 1
    pool.progress_at = 1

    submit(pool, gate.wait, 10)

    assert len(pool.threads) == MIN_THREADS


def test_thread_is_added_without_progress(gate, clock):
    pool = ThreadPool(max_threads=50)
    submit(pool, gate.wait, MIN_THREADS)
    clock.now = clock.cpu = 1

    submit(pool, gate.wait, 1)

    assert len(pool.threads) == MIN_THREADS + 1


def test_queue_is_checked_until_it_is_empty(gate, clock):
    pool = ThreadPool(max_threads=50)

    async def run():
        futures = [pool.submit(gate.wait) for _ in range(MIN_THREADS)]
        clock.now = clock.cpu = pool.progress_at = 1
        futures += [pool.submit(gate.wait) for _ in range(4)]
        assert len(pool.threads) == MIN_THREADS
        # The threads have finished to compute: they wait.
        clock.now = 2
        while len(pool.threads) < MIN_THREADS + 4:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_idle_threads_end(monkeypatch):
    monkeypatch.setattr(threads, "IDLE_TIMEOUT", 0.05)
    barrier = threading.Barrier(MIN_THREADS + 5)
    pool = ThreadPool(max_threads=50, max_cpu=float("inf"))
    for future in submit(pool, barrier.wait, MIN_THREADS + 5):
        future.result(20)

    while len(pool.threads) > MIN_THREADS:
        pass


def test_detached_thread_makes_room_for_another(gate):
    pool = ThreadPool(max_threads=1)

    def detach():
        pool.detach_thread()
        gate.wait()

    (detached,) = submit(pool, detach, 1)
    while pool.threads:
        pass
    (other,) = submit(pool, lambda: "other", 1)

    assert other.result(20) == "other"
    assert not detached.done()
