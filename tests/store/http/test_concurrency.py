from __future__ import annotations

from mlbutler.store.http.concurrency import AdaptiveConcurrency


class Network:
    """Transfers that take `latency` seconds each and share `limit` of them in a second."""

    def __init__(self, latency: float, limit: float) -> None:
        self.latency, self.limit, self.now = latency, limit, 0.0

    def run(self, pace: AdaptiveConcurrency, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += max(self.latency / pace.width, 1 / self.limit)
            pace.note_finished(4096)


def test_a_slow_line_gets_as_many_transfers_as_there_are() -> None:
    network = Network(latency=0.1, limit=100_000)
    pace = AdaptiveConcurrency(clock=lambda: network.now)
    network.run(pace, 5)
    assert pace.width == 64


def test_a_line_that_is_full_is_not_crowded() -> None:
    network = Network(latency=0.001, limit=1000)
    pace = AdaptiveConcurrency(clock=lambda: network.now)
    network.run(pace, 5)
    assert pace.width <= 16


def test_a_number_that_was_set_stays() -> None:
    network = Network(latency=0.1, limit=100_000)
    pace = AdaptiveConcurrency(3, clock=lambda: network.now)
    network.run(pace, 5)
    assert pace.width == 3


def test_a_remote_that_asks_to_slow_down_gets_fewer() -> None:
    network = Network(latency=0.1, limit=100_000)
    pace = AdaptiveConcurrency(clock=lambda: network.now)
    network.run(pace, 5)
    for expected in (32, 16, 8, 4, 2, 1, 1):
        pace.slow_down()
        assert pace.width == expected
        network.now += 1.1


def test_many_such_answers_at_once_count_once() -> None:
    network = Network(latency=0.1, limit=100_000)
    pace = AdaptiveConcurrency(clock=lambda: network.now)
    network.run(pace, 5)
    for _ in range(64):
        pace.slow_down()
    assert pace.width == 32


def test_after_that_it_grows_slowly_and_not_above_what_was_set() -> None:
    network = Network(latency=0.1, limit=100_000)
    pace = AdaptiveConcurrency(4, clock=lambda: network.now)
    pace.slow_down()
    assert pace.width == 2
    network.run(pace, 4)
    assert pace.width == 2
    network.run(pace, 3)
    assert pace.width == 3
    network.run(pace, 60)
    assert pace.width == 4
