"""The search's trials by their value and the weights in use; milliseconds per image."""

import pytest

from madvae_tf.report.timing import milliseconds


@pytest.fixture
def tuning():
    picked = {"weights": {"beta": 0.1, "gamma": 0.1}, "value": 0.9765}
    best = {"weights": {"beta": 0.03, "gamma": 0.3}, "value": 0.9831}
    worse = {"weights": {"beta": 0.4, "gamma": 0.2}, "value": 0.9433, "status": "COMPLETED"}
    failed = {"weights": {"beta": 2.0, "gamma": 9.0}, "value": float("nan"), "status": "<FAILED>"}
    trials = [{**picked, "status": "COMPLETED"}, failed, worse, {**best, "status": "COMPLETED"}]
    objective = {"objective": "accuracy on validation images", "n": 1500, "cost_seconds": 2310.4}
    return {
        **objective,
        "hand_picked": picked,
        "best": best,
        "trials": trials,
        "used": "hand-picked",
    }


def test_trials_are_sorted_and_the_weights_in_use_are_said(written, tuning):
    report = written([], {"tuning": tuning, "seed": 4})
    head, *body = report.parsed.lines("tuning")
    assert head == ["Trial", "Value", "beta", "gamma", "Status"]
    assert body == [
        ["trial 4 best", "0.9831", "0.03", "0.3", "COMPLETED"],
        ["trial 1 hand-picked", "0.9765", "0.1", "0.1", "COMPLETED"],
        ["trial 3", "0.9433", "0.4", "0.2", "COMPLETED"],
        ["trial 2", "–", "2", "9", "<FAILED>"],
    ]
    words = report.parsed.text()
    assert "This run used the hand-picked weights: beta 0.1, gamma 0.1." in words
    assert "The best trial reached 0.9831, the hand-picked weights 0.9765." in words
    for fact in (
        "accuracy on validation images",
        "n = 1500 validation",
        "seed 4",
        "threat model: oblivious",
        "2310 s",
    ):
        assert fact in words
    assert "so that value flatters it" in words


def test_the_tuned_weights_are_the_best_trials(written, tuning):
    words = written([], {"tuning": {**tuning, "used": "tuned"}}).parsed.text()
    assert "This run used the tuned weights: beta 0.03, gamma 0.3." in words


def test_hand_picked_weights_that_were_no_trial_have_a_line(written, tuning):
    tuning["trials"] = tuning["trials"][2:]
    _, *body = written([], {"tuning": tuning}).parsed.lines("tuning")
    assert [line[0] for line in body] == ["trial 2 best", "hand-picked", "trial 1"]


def test_a_loss_is_sorted_the_other_way(written, tuning):
    for trial in (*tuning["trials"], tuning["hand_picked"], tuning["best"]):
        trial["value"] = 1 - trial["value"]
    report = written([], {"tuning": tuning})
    assert [line[0] for line in report.parsed.lines("tuning")[1:3]] == [
        "trial 4 best",
        "trial 1 hand-picked",
    ]
    assert "Trials, lowest value first." in report.parsed.text()


def test_every_key_of_the_search_is_optional(written):
    report = written([], {"tuning": {"used": "tuned"}})
    assert report.parsed.errors == [] and "This run used the tuned weights." in report.parsed.text()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.4204, "0.420"), (3.2149, "3.21"), (14.25, "14.2"), (20510.4, "20510"), (0.0, "0.000")],
)
def test_milliseconds_have_three_digits(value, shown):
    assert milliseconds(value) == shown


def test_time_by_defence_and_batch(written, row):
    times = {("none", 1): 3.21, ("none", 256): 0.42, ("defense_gan", 256): 1523.4}
    rows = [
        row(
            table="time",
            attack="none",
            parameters={"batch": batch, "rounds": 9},
            defense=defense,
            metric="ms_per_image",
            value=value,
            ci_low=None,
            ci_high=None,
            n=batch,
        )
        for (defense, batch), value in times.items()
    ]
    report = written(rows, {"machine": {"cores": 2}})
    head, *body = report.parsed.lines("image-time")
    assert head == ["Defence", "One image at a time", "In batches of 256"]
    assert body == [
        ["No defence", "3.21 ms 9 rounds", "0.420 ms 9 rounds"],
        ["Defense-GAN", "–", "1523 ms 9 rounds"],
    ]
    assert "on 2 CPU cores" in report.parsed.text() and "Other measurements" not in report.page
