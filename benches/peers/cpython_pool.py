"""multiprocessing.Pool of two workers.

    cpython_pool.py map TASKS CHUNK     prints squares per second, CHUNK tasks in a message; 0: as many as Pool.map likes
    cpython_pool.py apply ROUNDS GAP    prints the p50 and p99 of Pool.apply in nanoseconds; GAP nanoseconds of busy
                                        waiting before each let the worker fall asleep
    cpython_pool.py sums BYTES TASKS    prints arguments of BYTES bytes per second, eight of them in a map

The caller and one of the workers share a processor.
"""

import multiprocessing
import os
import sys
import time

WARM = 64
WORD = 8
WORKERS = 2
OUTSTANDING = 8
CPUS = sorted(os.sched_getaffinity(0))[:2]


def pin(place):
    os.sched_setaffinity(0, {CPUS[place % len(CPUS)]})


def seat(places):
    pin(places.get())


def square(x):
    return x * x


def total(argument):
    # What Python reads whole at the speed of the others: a count of one byte.
    return int.from_bytes(argument[:WORD], "little"), argument.count(1)


def squares(pool, tasks, chunk):
    pool.map(square, range(tasks // 10), chunk or None)
    begin = time.monotonic_ns()
    results = pool.map(square, range(tasks), chunk or None)
    span = time.monotonic_ns() - begin
    assert results == [x * x for x in range(tasks)], "results are lost, damaged or out of order"
    print(tasks * 1e9 / span)


def apply(pool, rounds, gap):
    times = []
    for x in range(WARM + rounds):
        until = time.perf_counter_ns() + gap
        while time.perf_counter_ns() < until:
            pass
        begin = time.perf_counter_ns()
        result = pool.apply(square, (x,))
        times.append(time.perf_counter_ns() - begin)
        assert result == x * x, "the result of another task"
    times = sorted(times[WARM:])
    print(times[len(times) // 2], times[round(0.99 * (len(times) - 1))])


def sums(pool, size, tasks):
    rest = bytes(place % 251 for place in range(size - WORD))

    def turn(first):
        seqs = range(first, first + OUTSTANDING)
        arguments = [seq.to_bytes(WORD, "little") + rest for seq in seqs]
        return pool.map(total, arguments, 1)

    turn(0)
    results = []
    begin = time.monotonic_ns()
    for first in range(0, tasks, OUTSTANDING):
        results += turn(first)
    span = time.monotonic_ns() - begin
    wanted = [(seq, rest.count(1) + seq.to_bytes(WORD, "little").count(1)) for seq in range(tasks)]
    assert results == wanted, "sums are lost, damaged or out of order"
    print(tasks * 1e9 / span)


def main():
    what, *numbers = sys.argv[1:]
    context = multiprocessing.get_context("fork")
    places = context.SimpleQueue()
    for worker in range(WORKERS):
        places.put(worker + 1)
    with context.Pool(WORKERS, seat, (places,)) as pool:
        pin(0)
        {"map": squares, "apply": apply, "sums": sums}[what](pool, *map(int, numbers))


main()
