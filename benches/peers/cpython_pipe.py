"""multiprocessing.Pipe between two processes, as bytes.

    cpython_pipe.py trip BYTES ROUNDS GAP    prints the p50 and p99 of a round trip in nanoseconds; GAP nanoseconds of
                                             busy waiting before each let the other side fall asleep
    cpython_pipe.py stream BYTES MESSAGES    prints messages per second
"""

import multiprocessing
import os
import sys
import time

WARM = 32
WORD = 8


def pin(worker):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {cpus[worker % len(cpus)]})


def message(seq, rest):
    return seq.to_bytes(WORD, "little") + rest


def read(received, rest):
    assert len(received) == WORD + len(rest) and received.endswith(rest), "a damaged message"
    return int.from_bytes(received[:WORD], "little")


def echo(connection, rest, rounds):
    pin(1)
    for _ in range(WARM + rounds):
        connection.send_bytes(message(read(connection.recv_bytes(), rest), rest))


def trip(rest, rounds, gap):
    connection, other = multiprocessing.Pipe()
    partner = multiprocessing.Process(target=echo, args=(other, rest, rounds))
    partner.start()
    pin(0)
    times = []
    for seq in range(WARM + rounds):
        until = time.perf_counter_ns() + gap
        while time.perf_counter_ns() < until:
            pass
        begin = time.perf_counter_ns()
        connection.send_bytes(message(seq, rest))
        answer = read(connection.recv_bytes(), rest)
        times.append(time.perf_counter_ns() - begin)
        assert answer == seq, "an answer to another question"
    partner.join()
    times = sorted(times[WARM:])
    print(times[len(times) // 2], times[round(0.99 * (len(times) - 1))])


def drain(connection, rest, messages):
    pin(1)
    for seq in range(messages):
        assert read(connection.recv_bytes(), rest) == seq, "out of order"
    connection.send_bytes(time.monotonic_ns().to_bytes(WORD, "little"))


def stream(rest, messages):
    connection, other = multiprocessing.Pipe()
    partner = multiprocessing.Process(target=drain, args=(other, rest, WARM + messages))
    partner.start()
    pin(0)
    for seq in range(WARM + messages):
        if seq == WARM:
            begin = time.monotonic_ns()
        connection.send_bytes(message(seq, rest))
    end = int.from_bytes(connection.recv_bytes(), "little")
    partner.join()
    print(messages * 1e9 / (end - begin))


def main():
    what, size, count, *gap = sys.argv[1:]
    rest = bytes(place % 251 for place in range(int(size) - WORD))
    multiprocessing.set_start_method("fork")
    if what == "trip":
        trip(rest, int(count), int(gap[0]))
    else:
        stream(rest, int(count))


main()
