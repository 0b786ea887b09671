"""Messages per second through multiprocessing.Queue: cpython_queue.py BYTES PRODUCERS CONSUMERS."""

import multiprocessing
import os
import sys
import time

MESSAGES = 8000
END = None


def pin(worker):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {cpus[worker % len(cpus)]})


def produce(worker, queue, barrier, payload, count, times):
    pin(worker)
    barrier.wait()
    times[worker] = time.monotonic()
    for _ in range(count):
        queue.put(payload)


def consume(worker, queue, barrier, payload, done, times):
    pin(worker)
    barrier.wait()
    count = 0
    while (message := queue.get()) is not END:
        assert message == payload
        count += 1
    times[worker] = time.monotonic()
    with done.get_lock():
        done.value += count


def main():
    size, producers, consumers = map(int, sys.argv[1:4])
    context = multiprocessing.get_context("fork")
    payload, each = bytes(range(size)), MESSAGES // producers
    queue, barrier = context.Queue(1024), context.Barrier(producers + consumers)
    times, done = context.Array("d", producers + consumers), context.Value("q", 0)
    senders = [
        context.Process(target=produce, args=(worker, queue, barrier, payload, each, times))
        for worker in range(producers)
    ]
    receivers = [
        context.Process(target=consume, args=(worker, queue, barrier, payload, done, times))
        for worker in range(producers, producers + consumers)
    ]
    for process in senders + receivers:
        process.start()
    for process in senders:
        process.join()
    for _ in range(consumers):
        queue.put(END)
    for process in receivers:
        process.join()
    assert done.value == each * producers, "messages were lost"
    print(done.value / (max(times[producers:]) - min(times[:producers])))


main()
