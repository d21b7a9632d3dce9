"""The threads that run the synchronous code of requests."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from typing import Any

from django.db import connections

MIN_THREADS = 4  # They stay, so that a burst of requests finds them.
IDLE_TIMEOUT = 5  # Seconds without work before another thread ends.
CHECK_INTERVAL = 0.02  # Seconds between two looks at the queue and the CPU.
MAX_DELAY = 0.1  # Seconds without progress before a thread is added in any case.
MAX_CPU = 0.4  # CPUs used by the process above which its threads compute.


class ThreadPool(Executor):
    """
    An executor with few threads while they compute, and more while they wait.

    Python's threads take turns: more of them do not compute faster. A view that waits,
    for a database on another machine or for an API, leaves the CPU to other threads.
    So a thread is added when work is queued and the process does not use its CPU.
    """

    def __init__(self, max_threads: int, max_cpu: float = MAX_CPU) -> None:
        """Create the pool. Above `max_cpu`, a CPU usage, no thread is added."""
        self.max_threads = max_threads
        self.max_cpu = max_cpu
        self.queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self.queue = SimpleQueue()
        self.threads: set[Thread] = set()
        # An item for each thread that waits for work; append() and pop() are atomic.
        self.idle: list[None] = []
        self.cpu_usage = 0.0
        self.sampled = (time.monotonic(), time.process_time())
        self.progress_at = 0.0
        self.is_checking = False

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Queue a call from the event loop; return the Future of its result."""
        future: Future[Any] = Future()
        self.queue.put((future, partial(fn, *args, **kwargs)))
        self.add_threads()
        if not self.is_checking:
            self.is_checking = True
            asyncio.get_running_loop().call_later(CHECK_INTERVAL, self.check)
        return future

    def check(self) -> None:
        """Look at the queue again until it is empty."""
        self.is_checking = not self.queue.empty()
        if self.is_checking:
            self.add_threads()
            asyncio.get_running_loop().call_later(CHECK_INTERVAL, self.check)

    def add_threads(self) -> None:
        missing = min(
            self.queue.qsize() - len(self.idle), self.max_threads - len(self.threads)
        )
        for _ in range(missing):
            if len(self.threads) >= MIN_THREADS and not self.should_grow():
                break
            thread = Thread(target=self.work, daemon=True)
            self.threads.add(thread)
            thread.start()

    def should_grow(self) -> bool:
        now, cpu = time.monotonic(), time.process_time()
        elapsed = now - self.sampled[0]
        if elapsed > CHECK_INTERVAL / 2:
            self.cpu_usage = (cpu - self.sampled[1]) / elapsed
            self.sampled = now, cpu
        return self.cpu_usage < self.max_cpu or now - self.progress_at > MAX_DELAY

    def work(self) -> None:
        """Run calls until there is none for IDLE_TIMEOUT seconds."""
        while True:
            self.idle.append(None)
            try:
                item = self.queue.get(timeout=IDLE_TIMEOUT)
            except Empty:
                if len(self.threads) > MIN_THREADS:
                    break
                continue
            finally:
                self.idle.pop()
            if item is None:
                break
            self.progress_at = time.monotonic()
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
                    del error
            # A reference would keep the request and its response until the next one.
            del item, future, call
            if current_thread() not in self.threads:
                break
        self.detach_thread()
        connections.close_all()

    def detach_thread(self) -> None:
        """Let the current thread end after its call; the pool may start another."""
        self.threads.discard(current_thread())

    def shutdown(
        self, wait: bool = True, *, cancel_futures: bool = False, timeout: float = 1
    ) -> None:
        """End the threads; wait `timeout` seconds at most for those that are busy."""
        self.max_threads = 0  # No new thread takes what ends another.
        threads = list(self.threads)
        for _ in threads:
            self.queue.put(None)
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
