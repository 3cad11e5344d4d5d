"""The watcher of long runs: what it reads of a log, and how it judges an ETA."""

import json
import os
from argparse import Namespace

import pytest

from benchmarks.long_run import eta_errors, main, sample, seconds, summary


def row(second, title="", done=0.0, total=100.0, eta=None, **more):
    found = {
        "second": second,
        "cpu_seconds": second / 2,
        "resident_mib": 100,
        "log_bytes": 7,
        **more,
    }
    return found | ({"title": title, "done": done, "total": total, "eta": eta} if title else {})


def test_what_a_bar_says():
    assert seconds("1:02:03") == 3723.0 and seconds("00:07") == 7.0 and seconds("?") is None


def test_a_sample(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "x\rtrain fgsm:   0%|   | 0/40 [00:00<?, ?image/s]\rtrain cw:  25%|#  | 10.0/40"
        " [00:20<01:00,  1.9image/s]"
    )
    found = sample(os.getpid(), log, 0.0)
    assert (found["title"], found["done"], found["total"], found["eta"]) == (
        "train cw",
        10.0,
        40.0,
        60.0,
    )
    assert (
        found["resident_mib"] > 1
        and found["cpu_seconds"] > 0
        and found["log_bytes"] == log.stat().st_size
    )


def test_an_eta_is_judged_when_it_is_said_by_the_end_of_its_bar():
    """Said at 20 s: 180 s, and it was 160; repeated at 30 s, which is the same word; at 110 s: 70
    s, and it was that.
    """
    rows = [
        *(row(10, "a", 2, eta=490), row(20, "a", 10, eta=180), row(30, "a", 10, eta=180)),
        *(row(110, "a", 60, eta=70), row(150, "a", 90, eta=18), row(180, "b", 0), row(190, "a", 0)),
    ]
    assert eta_errors(rows) == pytest.approx([20 / 160, 0.0])


def test_a_bar_that_was_not_seen_to_end_is_judged_by_the_part_that_was():
    """At 100 s, 10 of 100 done: 450 s for the other 90, so 100 s for 20 of them; these took 80 s."""  # noqa: E501
    rows = [row(100, "a", 10, eta=450), row(180, "a", 30, eta=350), row(190, "a", 30, eta=350)]
    assert eta_errors(rows) == pytest.approx([20 / 80])


def test_what_comes_between_two_bars_is_no_part_of_an_eta():
    """Full at 150 s, as was said at 50; then a validation without a bar until 180."""
    rows = [
        row(10, "a"),
        row(50, "a", 20, eta=100),
        row(150, "a", 100, eta=0),
        row(160, "a", 100, eta=0),
        row(180, "b"),
    ]
    assert eta_errors(rows) == [0.0]


def test_an_eta_of_a_long_bar_is_judged_after_a_minute():
    """Nothing in the first minute, though its word is far off; then at 70 s: 990 s for 990 images,
    and 40 of them took 80 s.
    """
    rows = [row(10 + 10 * n, "a", 1 + n, total=1000, eta=9.0) for n in range(6)]
    rows += [row(70, "a", 10, total=1000, eta=990), row(150, "a", 50, total=1000, eta=950)]
    assert eta_errors(rows) == pytest.approx([40 / 80])


def test_the_minute_begins_anew_with_the_next_bar_of_the_same_title():
    rows = [row(10, "a", 1, total=1000, eta=9.0), row(90, "b", 1, total=1000, eta=9.0)]
    rows += [
        row(170, "b", 0, total=1000, eta=9.0),
        row(180, "b", 2, total=1000, eta=9.0),
        row(300, "b", 3, total=1000),
    ]
    assert eta_errors(rows) == []


def test_summary_and_picture_again_from_the_table(tmp_path, capsys):
    table = tmp_path / "hour.csv"
    table.write_text(
        "second,cpu_seconds,resident_mib,log_bytes,title,done,total,eta\n10.0,9.0,100,7,,,,\n20.0,19.0,120,8,train"
        " cw,10.0,100,160.0\n180.0,170.0,110,9,train cw,90.0,100,20.0\n190.0,171.0,110,9,train"
        " fgsm,0.0,40,\n"
    )
    assert main(Namespace(out=tmp_path / "again", read=table)) == 0
    found = json.loads((tmp_path / "again.json").read_text())
    assert found["resident_mib_last_third"] == 110 and found["eta_samples"] == 1
    # Said at 20 s: 160; the next bar was seen at 190.
    assert found["eta_median_error"] == round(10 / 170, 3)
    assert (tmp_path / "again.svg").stat().st_size and json.loads(capsys.readouterr().out) == found


def test_the_summary():
    rows = [row(10.0 * n, resident_mib=100 + n) for n in range(9)]
    found = summary(rows)
    assert (found["resident_mib_first_third"], found["resident_mib_last_third"]) == (102, 108)
    assert (
        found["eta_samples"] == 0
        and found["eta_median_error"] is None
        and found["cpu_minutes"] == 0.7
    )
