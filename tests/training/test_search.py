"""The search: where it starts, where it goes, and that a kill changes nothing."""

import math

import pytest

from madvae_tf.training.divergence import Diverged
from madvae_tf.training.search import search
from madvae_tf.utils.errors import UserError

HAND_PICKED = {"gamma": 0.123456, "sigma": 1e-5}
FACTORS = {"gamma": 10.0, "sigma": 5.0}
TRIALS = 6  # the hand-picked one, two at random, three informed ones


class Hill:
    """Highest at three times the hand-picked values; keeps what it was asked; raises in trial
    `kill_at`.
    """

    def __init__(self, kind=Exception, kill_at=None):
        self.asked = []
        self.kind, self.kill_at = kind, kill_at

    def __call__(self, number, weights):
        self.asked.append((number, dict(weights)))
        if number == self.kill_at:
            raise self.kind("in the middle")
        return -sum(
            math.log(weights[name] / (3 * HAND_PICKED[name])) ** 2
            for name in weights
            if weights[name]
        )


def climb(hill, folder, trials=TRIALS, seed=0, hand_picked=HAND_PICKED):
    return search(hill, hand_picked, FACTORS, trials, seed, folder)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The trials of a search that nothing stopped."""
    hill = Hill()
    trials = climb(hill, tmp_path_factory.mktemp("search"))
    assert [number for number, _ in hill.asked] == list(range(TRIALS))
    assert [weights for _, weights in hill.asked] == [trial.weights for trial in trials]
    return trials


def outcome(trials):
    return [(trial.weights, trial.value, trial.status) for trial in trials]


def test_the_first_trial_has_the_hand_picked_weights_to_the_last_bit(unbroken):
    assert unbroken[0].weights == HAND_PICKED
    assert all(trial.weights != HAND_PICKED for trial in unbroken[1:])
    assert max(trial.value for trial in unbroken) >= unbroken[0].value == Hill()(0, HAND_PICKED)


def test_proposals_differ_lie_in_the_ranges_and_are_what_three_digits_say(unbroken):
    for name, value in HAND_PICKED.items():
        tried = [trial.weights[name] for trial in unbroken[1:]]
        slack = 1.01  # of the rounding
        low, high = value / FACTORS[name] / slack, value * FACTORS[name] * slack
        assert all(low <= each <= high for each in tried)
        assert all(each == float(f"{each:.3g}") for each in tried)
    assert len({tuple(trial.weights.values()) for trial in unbroken}) == TRIALS


def test_random_proposals_are_even_in_the_logarithm(tmp_path):
    logs = []
    for seed in range(12):
        (tmp_path / str(seed)).mkdir()
        for trial in climb(Hill(), tmp_path / str(seed), trials=3, seed=seed)[1:]:
            logs.append(math.log(trial.weights["gamma"] / HAND_PICKED["gamma"], FACTORS["gamma"]))
    # Of 24 in [-1, 1]: a uniform draw in the values themselves would leave about one below 0.
    assert 6 <= sum(each < 0 for each in logs) <= 18
    assert min(logs) < -0.5 and max(logs) > 0.5


def test_the_search_climbs(unbroken):
    """Informed by the first three, it comes higher than they do."""
    assert max(trial.value for trial in unbroken[3:]) > max(trial.value for trial in unbroken[:3])


def test_another_seed_is_another_search_from_the_same_start(unbroken, tmp_path):
    other = climb(Hill(), tmp_path, trials=2, seed=1)
    assert other[0].weights == HAND_PICKED and other[1].weights != unbroken[1].weights


@pytest.mark.parametrize(
    ("kill_at", "kind"), [(0, UserError), (1, UserError), (4, KeyboardInterrupt)]
)
def test_a_killed_search_ends_with_the_trials_of_an_unbroken_one(unbroken, tmp_path, kill_at, kind):
    with pytest.raises(kind, match="in the middle"):
        climb(Hill(kind, kill_at), tmp_path)
    hill = Hill()
    assert outcome(climb(hill, tmp_path)) == outcome(unbroken)
    # The finished ones are not run again, the killed one is.
    assert [number for number, _ in hill.asked] == list(range(kill_at, TRIALS))
    assert hill.asked[0][1] == unbroken[kill_at].weights


def test_files_that_keras_tuner_left_half_written_do_no_harm(unbroken, tmp_path):
    with pytest.raises(UserError):
        climb(Hill(UserError, 2), tmp_path)
    saved = list((tmp_path / "tuner").rglob("*.json"))
    assert len(saved) > 2
    for path in saved:
        path.write_bytes(path.read_bytes()[:20])
    assert outcome(climb(Hill(), tmp_path, trials=3)) == outcome(unbroken[:3])


def test_a_finished_search_measures_nothing_and_says_nothing(unbroken, tmp_path, capfd):
    climb(Hill(), tmp_path, trials=3)
    hill = Hill()
    again = climb(hill, tmp_path, trials=3)
    assert hill.asked == [] and outcome(again) == outcome(unbroken[:3])
    assert {trial.status for trial in again} == {"completed"}
    assert capfd.readouterr().out == ""


def test_seconds_are_those_of_the_measurement(tmp_path, monkeypatch):
    clock = iter([10.0, 12.5, 20.0, 20.25])
    monkeypatch.setattr("madvae_tf.training.search.time.monotonic", lambda: next(clock, 0.0))
    first = climb(Hill(), tmp_path, trials=2)
    assert [trial.seconds for trial in first] == [2.5, 0.25]
    assert climb(Hill(), tmp_path, trials=2) == first


def test_a_weight_of_zero_stays_zero(tmp_path):
    trials = climb(Hill(), tmp_path, trials=3, hand_picked=HAND_PICKED | {"sigma": 0.0})
    assert [trial.weights["sigma"] for trial in trials] == [0.0] * 3
    assert len({trial.weights["gamma"] for trial in trials}) == 3


@pytest.mark.parametrize(
    ("trials", "hand_picked", "message"),
    [
        (0, HAND_PICKED, "Invalid trials: received 0, expected at least 1"),
        (3, HAND_PICKED | {"sigma": -0.1}, "'sigma': -0.1.*at least 0"),
        (3, dict.fromkeys(HAND_PICKED, 0.0), "not all of them 0"),
    ],
)
def test_a_search_that_cannot_be_is_refused(tmp_path, trials, hand_picked, message):
    with pytest.raises(UserError, match=message):
        climb(Hill(), tmp_path, trials=trials, hand_picked=hand_picked)


class Cliff(Hill):
    """Diverges above a gamma, as a learning rate that is too high does."""

    def __init__(self, edge):
        super().__init__()
        self.edge = edge

    def __call__(self, number, weights):
        value = super().__call__(number, weights)
        if weights["gamma"] > self.edge:
            raise Diverged("a line")
        return value


def test_a_trial_that_diverges_has_no_value_and_the_search_goes_on(tmp_path):
    cliff = Cliff(edge=1.5 * HAND_PICKED["gamma"])
    trials = climb(cliff, tmp_path, trials=8)
    over = [trial.weights["gamma"] > cliff.edge for trial in trials]
    assert any(over) and not over[0]
    assert [trial.value is None for trial in trials] == over
    assert [trial.status for trial in trials] == [
        "diverged" if each else "completed" for each in over
    ]
    # Called again, none is measured again, and the result is the same.
    assert outcome(climb(Cliff(cliff.edge), tmp_path, trials=8)) == outcome(trials)
    assert len(cliff.asked) == 8


def test_hand_picked_values_that_diverge_end_the_search_with_their_line(tmp_path):
    with pytest.raises(Diverged, match="a line"):
        climb(Cliff(edge=0.0), tmp_path)
