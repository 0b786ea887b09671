"""multiprocessing.Manager().dict(), used by several processes.

    cpython_dict.py get PROCESSES EACH    prints how many values they read in a second
    cpython_dict.py set PROCESSES EACH    prints how many values they write in a second

The manager's own process runs on the second processor.
"""

import multiprocessing
import os
import random
import sys
import time

KEYS = [f"key:{key}" for key in range(1_000)]
WARM = 100
MOST = 1 << 64
CPUS = sorted(os.sched_getaffinity(0))[:2]


def pin(place):
    os.sched_setaffinity(0, {CPUS[place % len(CPUS)]})


def first(key):
    return key * 0x9E3779B97F4A7C15 % MOST


def written(worker, count):
    return worker + 1 << 48 | count


def picks(worker, each):
    return random.Random(worker).choices(range(len(KEYS)), k=each)


def get(entries, worker, chosen):
    found = 0
    for key in chosen:
        found += entries[KEYS[key]]
    return found


def set(entries, worker, chosen):
    for count, key in enumerate(chosen):
        entries[KEYS[key]] = written(worker, count)
    return len(chosen)


def work(what, worker, entries, barrier, each, times):
    pin(worker)
    chosen = picks(worker, each)
    for key in chosen[:WARM]:
        entries[KEYS[key]]
    barrier.wait()
    begin = time.monotonic()
    done = what(entries, worker, chosen)
    times[2 * worker : 2 * worker + 2] = begin, time.monotonic()
    wanted = sum(map(first, chosen)) if what is get else each
    assert done == wanted, "sum of what was read"


def verify(what, entries, workers, each):
    wanted = {key: [first(place)] for place, key in enumerate(KEYS)}
    if what is set:
        last = [
            {KEYS[key]: written(worker, count) for count, key in enumerate(picks(worker, each))}
            for worker in range(workers)
        ]
        for key in KEYS:
            wanted[key] = [writes[key] for writes in last if key in writes] or wanted[key]
    assert len(entries) == len(KEYS), "number of entries"
    for key, value in entries.items():
        assert value in wanted[key], "not the last to be written"


def main():
    what, workers, each = {"get": get, "set": set}[sys.argv[1]], *map(int, sys.argv[2:])
    context = multiprocessing.get_context("fork")
    manager = context.Manager()
    os.sched_setaffinity(manager._process.pid, {CPUS[-1]})
    entries = manager.dict({key: first(place) for place, key in enumerate(KEYS)})
    barrier, times = context.Barrier(workers), context.Array("d", 2 * workers)
    processes = [
        context.Process(target=work, args=(what, worker, entries, barrier, each, times))
        for worker in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert all(process.exitcode == 0 for process in processes), "a worker failed"
    verify(what, entries.copy(), workers, each)
    print(workers * each / (max(times[1::2]) - min(times[::2])))


main()
