"""Turns and ratios, with a clock of our own."""

import pytest
import timing


class Clock:
    """Time that passes only when a task says so, faster and faster: a machine that gets busier."""

    def __init__(self, drift=1.0):
        self.now, self.pace, self.drift, self.called = 0.0, 1.0, drift, []

    def __call__(self):
        return self.now

    def task(self, name, seconds):
        def run():
            self.called.append(name)
            self.now += seconds * self.pace

        return run

    def tasks(self):
        return {"a": self.task("a", 1.0), "b": self.task("b", 3.0)}


def test_each_task_gets_one_sample_a_round_and_each_round_begins_with_another():
    clock = Clock()
    samples = timing.in_turns(clock.tasks(), 3, sample_seconds=0.0, clock=clock)
    assert samples == {"a": pytest.approx([1.0] * 3), "b": pytest.approx([3.0] * 3)}
    warm_up, rounds = clock.called[:4], clock.called[4:]
    assert warm_up == ["a", "a", "b", "b"]
    assert rounds == ["a", "b", "b", "a", "a", "b"]


def test_short_tasks_are_repeated_to_fill_a_sample_and_timed_a_call():
    clock = Clock()
    samples = timing.in_turns(clock.tasks(), 1, sample_seconds=9.5, clock=clock)
    assert samples == {"a": pytest.approx([1.0]), "b": pytest.approx([3.0])}
    assert clock.called.count("a") == 2 + 9
    assert clock.called.count("b") == 2 + 3


def test_ratios_are_taken_within_a_round():
    # the second round ran on a machine ten times busier: no ratio shows it
    assert timing.ratios([4.0, 40.0], [2.0, 20.0]) == timing.Spread(2.0, 2.0, 2.0)


def test_a_spread_is_median_and_ends():
    assert timing.Spread.of([5.0, 1.0, 2.0]).times(10) == timing.Spread(20.0, 10.0, 50.0)
