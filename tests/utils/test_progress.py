"""Bars: drawn on a terminal, told to another process, silent in a file but for a line now and then."""  # noqa: E501

import io
import sys

import pytest

from madvae_tf.utils import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_gets_one_bar_and_the_lines_above_it(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with (
        progress.titled("purifier pd"),
        progress.progress_bar(4, "own words", "step", done=1) as bar,
    ):
        bar.update()
        progress.write_line("said")
        bar.update(2)
    drawn = sys.stderr.getvalue()
    assert "purifier pd:  25%" in drawn and "1/4" in drawn and "own words" not in drawn
    # The line is whole, after what cleared the bar, and the bar of a stage leaves nothing.
    assert "said" in [part.split("\r")[-1] for part in drawn.split("\n")]
    assert drawn.rstrip("\r").split("\r")[-1].strip() == ""


def test_a_file_gets_a_line_every_ten_minutes(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.progress_bar(100, "search", "step", done=10) as bar:
        for clock[0], count in ((1, 5), (599, 5), (601, 10), (700, 10), (1300, 0)):
            bar.update(count)
    # At 601 s 20 of the 90 steps are made, 70 are left; at 1300 s 30 and 60.
    assert sys.stderr.getvalue().splitlines() == [
        "search: 30%, about 35 min left",
        "search: 40%, about 43 min left",
    ]


def test_another_process_is_told_at_most_twice_a_second(monkeypatch, clock):
    told = []
    monkeypatch.setattr(progress, "_elsewhere", told.append)
    with (
        progress.titled("tune"),
        progress.titled("trial 1"),
        progress.progress_bar(9, "", "step") as bar,
    ):
        for clock[0] in (0.1, 0.2, 0.6, 0.7, 1.2):
            bar.set_postfix(loss="0.5", refresh=False)
            bar.update()
        progress.write_line("said")
    assert told == [
        progress.Moved(told[0].number, "tune, trial 1", "step", 9, 3, "loss=0.5"),
        progress.Moved(told[0].number, "tune, trial 1", "step", 9, 5, "loss=0.5"),
        "said",
    ]


def test_a_bar_says_what_is_going_on_after_its_title_and_its_total_may_change(monkeypatch, clock):
    told = []
    monkeypatch.setattr(progress, "_elsewhere", told.append)
    with (
        progress.titled("attack on pd"),
        progress.progress_bar(90, "", "s", bar_format="{desc}") as bar,
    ):
        bar.set_description("pgd", refresh=False)
        bar.total, clock[0] = 60, 1.0
        bar.update(30)
        progress.say("what it will cost")
    (place,) = told
    assert place[1:] == ("attack on pd, pgd", "s", 60, 30, "", "{desc}")
    monkeypatch.setattr(progress, "_elsewhere", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with (
        progress.titled("attack on pd"),
        progress.progress_bar(90, "", "s", bar_format="{desc} {n}/{total}") as bar,
    ):
        bar.follow(place)
        assert str(bar) == "attack on pd, pgd:  30/60"


def test_silent_bars_tell_nobody(monkeypatch, clock):
    told = []
    monkeypatch.setattr(progress, "_elsewhere", told.append)
    with progress.silent(), progress.progress_bar(9, "", "step") as bar:
        clock[0] = 5.0
        bar.update()
    assert told == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (40.4, "about 40 s"),
        (119, "about 119 s"),
        (130, "about 2 min"),
        (7000, "about 117 min"),
        (9000, "about 2 h"),
    ],
)
def test_durations(seconds, words):
    assert progress.duration(seconds) == words
