"""Suites and evaluation on a model whose robustness is known image by image; resuming; targets;
messages.
"""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.square import Square
from madvae_tf.evaluation import Evaluation, Suite, Trial, auto_attack, evaluate, gradient_suite
from madvae_tf.evaluation import trials as module
from madvae_tf.evaluation.intervals import wilson_interval
from madvae_tf.evaluation.rows import evaluation_rows
from madvae_tf.models.external_classifier import adapt
from madvae_tf.report import validate_rows
from madvae_tf.utils.errors import UserError

SMALL = {"iterations": 10, "targets": 1, "queries": 30}


def test_the_name_belongs_to_the_standard_numbers():
    for norm, epsilon in (("linf", 0.3), ("l2", 2.0)):
        suite = auto_attack(norm, epsilon)
        assert suite.name == "autoattack_standard" and suite.sequential
        ce, t, fab, square = (trial.attack.parameters for trial in suite.trials)
        assert (ce["loss"], ce["iterations"], ce["restarts"]) == ("cross_entropy", 100, 1)
        assert (t["loss"], t["iterations"], t["targets"], t["restarts"]) == (
            "dlr_targeted",
            100,
            9,
            1,
        )
        assert (fab["iterations"], fab["targets"], fab["restarts"]) == (100, 9, 1)
        assert (square["queries"], square["share"], square["restarts"]) == (5000, 0.8, 1)
        assert {p["norm"] for p in (ce, t, fab, square)} == {norm}
        assert {p["epsilon"] for p in (ce, t, fab, square)} == {epsilon}
    for change in ({"iterations": 99}, {"targets": 8}, {"queries": 4999}, {"restarts": 5}):
        assert auto_attack(**change).name == "autoattack_smaller"


@pytest.mark.parametrize(
    ("epsilon", "robust"),
    [(0.03, [0, 1, 1, 1, 1, 0]), (0.08, [0, 0, 1, 1, 0, 0]), (0.2, [0, 0, 0, 1, 0, 0])],
)
def test_every_image_falls_where_geometry_says(line, epsilon, robust):
    suites = [gradient_suite("linf", epsilon, 10), auto_attack("linf", epsilon, **SMALL)]
    found = evaluate(line.logits, line.images, line.labels, suites, batch_size=4, progress=False)
    np.testing.assert_array_equal(found.clean, [1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(found.worst, robust)
    for outcome in found.outcomes:
        np.testing.assert_array_equal(outcome.robust, robust)
    assert f"{np.mean(robust):.4f}" in found.summary().splitlines()[-1]
    np.testing.assert_array_equal(found.robust("autoattack_smaller"), robust)
    with pytest.raises(UserError, match="Unknown suite or trial 'fab'"):
        found.robust("fab")


def test_images_may_come_with_their_labels(line, tmp_path, monkeypatch):
    monkeypatch.setenv("MADVAE_TF_CACHE", str(tmp_path))
    pairs = tf.data.Dataset.from_tensor_slices((line.images, line.labels))
    suite = gradient_suite("linf", 0.03, 10)
    for dataset in (pairs, pairs.batch(4)):
        found = evaluate(line.logits, dataset, suites=suite, batch_size=4, progress=False)
        np.testing.assert_array_equal(found.worst, [0, 1, 1, 1, 1, 0])
    with pytest.raises(UserError, match="received a data set without end"):
        evaluate(line.logits, pairs.repeat(), suites=suite, progress=False)


def test_a_system_that_gives_probabilities_is_judged_by_their_logarithm(line):
    system = adapt(lambda x: tf.nn.softmax(line.logits(x)), line.images)
    found = evaluate(
        system, line.images, line.labels, [gradient_suite("linf", 0.08, 10)], progress=False
    )
    for outcome in found.outcomes:
        np.testing.assert_array_equal(outcome.robust, [0, 0, 1, 1, 0, 0])


def test_rows_are_valid_and_carry_their_intervals(line):
    suites = [gradient_suite("linf", 0.08, 10), auto_attack("linf", 0.08, **SMALL)]
    found = evaluate(line.logits, line.images, line.labels, suites, batch_size=4, progress=False)
    common = {"dataset": "mnist", "threat_model": "end_to_end", "defense": "none", "seed": 0}
    rows = evaluation_rows(found, common, {"norm": "linf", "epsilon": 0.08})
    validate_rows(rows)
    named = {row["attack"]: row for row in rows if row["metric"] == "accuracy"}
    assert list(named) == [
        *("none", "pgd_restarts", "apgd_ce_restarts", "apgd_margin", "apgd_dlr"),
        *("apgd_ce", "apgd_t", "fab_t", "square", "autoattack_smaller", "worst_case"),
    ]
    assert (named["worst_case"]["ci_low"], named["worst_case"]["ci_high"]) == wilson_interval(2, 6)
    assert named["apgd_ce"]["parameters"]["after"] == "autoattack_smaller"


def test_restarts_are_shares_of_what_their_own_suite_left(line):
    """Before or after a sequence, which leaves 2 of 5 images: 5 are right, 3 fall, all of them in
    the first run.
    """
    attack = APGD(epsilon=0.08, iterations=5)
    suites = [
        Suite("sequence", (Trial("first", attack),), sequential=True),
        Suite("own", (Trial("apgd_ce_restarts", APGD(epsilon=0.08, iterations=5, restarts=2)),)),
    ]
    found = evaluate(line.logits, line.images, line.labels, suites, batch_size=4, progress=False)
    common = {"dataset": "mnist", "threat_model": "end_to_end", "defense": "none", "seed": 0}
    for outcomes in (found.outcomes, found.outcomes[::-1]):
        rows = evaluation_rows(
            Evaluation(found.clean, outcomes), common, {"norm": "linf", "epsilon": 0.08}
        )
        shares = [
            (row["attack"], row["value"], row["n"])
            for row in rows
            if row["metric"] == "restart_share"
        ]
        assert shares == [("apgd_ce_restarts", 0.0, 3)]


def test_few_images_come_in_a_smaller_batch_with_the_same_result(line, monkeypatch):
    sizes = []
    real = module.run_attack

    def spy(attack, target, x, y, seed, batch_size):
        sizes.append(batch_size)
        return real(attack, target, x, y, seed, batch_size)

    monkeypatch.setattr(module, "run_attack", spy)
    suite = Suite("own", (Trial("apgd_ce", APGD(epsilon=0.08, iterations=3, restarts=2)),))
    found = [
        evaluate(
            line.logits, line.images, line.labels, [suite], batch_size=size, progress=False
        ).outcomes[0]
        for size in (20, 36)
    ]
    assert sizes == 2 * [20] + 2 * [9] and 0 < found[0].n_robust[-1] < 5
    np.testing.assert_array_equal(found[0].robust, found[1].robust)
    assert found[0].n_robust == found[1].n_robust


def test_an_image_made_on_another_model_goes_on_after_it_fools_that_one():
    """The other one's boundary is at a mean of 0.59, a step away from these images; the system's at
    0.5, in reach of ten.
    """

    def logits(x, boundary=0.5):
        gap = 10 * (tf.reduce_mean(x, [1, 2, 3]) - boundary)
        return tf.concat([gap[:, None], -gap[:, None], tf.fill((tf.shape(x)[0], 8), -50.0)], axis=1)

    images, labels = np.full((2, 28, 28, 1), 0.6, np.float32), np.zeros(2, np.int64)
    attack = RestartedPGD(
        epsilon=0.15, iterations=20, step_size=0.0125, restarts=1, random_start=False, loss="margin"
    )
    other = DefendedModel(lambda x: logits(x, 0.59))
    for gradient, options in (
        ("exact", {"target": other}),
        ("expectation", {"targets": {"expectation": other}}),
    ):
        suite = Suite("own", (Trial("pgd", attack, gradient),))
        found = evaluate(logits, images, labels, [suite], progress=False, **options)
        assert not found.worst.any() and not found.outcomes[0].trial.attack.parameters["early"]


class Stop(Exception):
    pass


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_stopped_evaluation_goes_on_where_it_was(line, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(module, "at_once", lambda: workers)
    attack = RestartedPGD(epsilon=0.08, iterations=3, step_size=0.01, restarts=3)
    suites = [
        Suite(
            "own",
            (Trial("pgd_restarts", attack), Trial("square", Square(epsilon=0.08, queries=20))),
        )
    ]
    call = lambda folder: evaluate(  # noqa: E731
        line.logits, line.images, line.labels, suites, batch_size=2, folder=folder, progress=False
    )
    whole = call(None)
    real, given = module.run_attack, []

    def spy(attack, target, x, *rest):
        if len(given) >= limit:
            raise Stop
        given.append((attack, x.tobytes()))
        return real(attack, target, x, *rest)

    monkeypatch.setattr(module, "run_attack", spy)
    limit = 10**6
    call(None)
    unbroken, given = given, []
    for stop in (1, 3, 4, len(unbroken) - 1):
        limit = stop
        with pytest.raises(Stop):
            call(tmp_path)
    limit = 10**6
    again = call(tmp_path)
    # The same batches and the same outcome; one at a time, every batch once, in order.
    assert set(given) == set(unbroken) and len(unbroken) > 5
    assert workers > 1 or given == unbroken
    for one, other in zip(whole.outcomes, again.outcomes, strict=True):
        np.testing.assert_array_equal(one.robust, other.robust)
        assert one.n_robust == other.n_robust
    taken = len(given)
    assert call(tmp_path).worst.tolist() == whole.worst.tolist() and len(given) == taken
    # Another model, other images, another seed: nothing of it is taken.
    for change in ({"seed": 1}, {"batch_size": 3}):
        limit = len(given)
        with pytest.raises(Stop):
            evaluate(
                line.logits,
                line.images,
                line.labels,
                suites,
                **{"batch_size": 2, **change},
                folder=tmp_path,
                progress=False,
            )
    with pytest.raises(Stop):
        evaluate(
            lambda x: 2 * line.logits(x),
            line.images,
            line.labels,
            suites,
            batch_size=2,
            folder=tmp_path,
            progress=False,
        )


def test_a_query_attack_has_one_file_whichever_suites_share_the_call(line, tmp_path, monkeypatch):
    climbing = Suite(
        "own", (Trial("pgd", RestartedPGD(epsilon=0.08, iterations=3, step_size=0.01)),)
    )
    asking = Suite("asking", (Trial("square", Square(epsilon=0.08, queries=20)),))

    def found(*suites):
        whole = evaluate(
            line.logits, line.images, line.labels, suites, folder=tmp_path, progress=False
        )
        return whole.robust("square").tolist()

    together = found(climbing, asking)
    files = sorted(tmp_path.iterdir())
    monkeypatch.setattr(module, "run_attack", None)  # Nothing is attacked again.
    assert found(asking) == found(asking, climbing) == together
    assert found(Suite("of another name", asking.trials)) == together
    assert sorted(tmp_path.iterdir()) == files and len(files) == 2


def test_a_damaged_file_is_named(line, tmp_path):
    suites = [Suite("own", (Trial("apgd_ce", APGD(epsilon=0.08, iterations=3)),))]
    evaluate(line.logits, line.images, line.labels, suites, folder=tmp_path, progress=False)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=f"{path.name}.*delete it and run again"):
        evaluate(line.logits, line.images, line.labels, suites, folder=tmp_path, progress=False)


def test_sequential_attacks_see_only_what_the_former_left(line, monkeypatch):
    seen = []
    real = module.run_attack

    def spy(attack, target, x, *rest):
        seen.append(len(x))
        return real(attack, target, x, *rest)

    monkeypatch.setattr(module, "run_attack", spy)
    trials = (
        Trial("apgd_ce", APGD(epsilon=0.08, iterations=5)),
        Trial("square", Square(epsilon=0.08, queries=5)),
    )
    for sequential, expected in ((True, [5, 2]), (False, [5, 5])):
        seen.clear()
        found = evaluate(
            line.logits,
            line.images,
            line.labels,
            [Suite("own", trials, sequential)],
            progress=False,
        )
        assert seen == expected
        assert found.outcomes[0].n_robust == (2,)


def test_an_attack_on_another_target_is_judged_by_the_system(line):
    """The attacker follows a model that looks the other way: the images of label 0 become brighter,
    and stay right.
    """
    surrogate = DefendedModel(lambda x: line.logits(1 - x))
    suite = gradient_suite("linf", 0.08, 10, early=False)
    found = evaluate(
        line.logits, line.images, line.labels, [suite], target=surrogate, progress=False
    )
    assert found.worst.tolist() == found.clean.tolist()


def logits_of(shape=(10,), dtype=tf.float32, value=0.0):
    return lambda x: tf.fill([tf.shape(x)[0], *shape], tf.cast(value, dtype))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((2, 7, 28, 1), np.float32)}, "received shape .2, 7, 28, 1"),
        (
            {"images": np.zeros((0, 28, 28, 1), np.float32), "labels": np.zeros(0, int)},
            "received none",
        ),
        ({"labels": np.zeros((2, 10))}, "expected integers of shape"),
        ({"model": logits_of((7, 3))}, r"shape \(2, 7, 3\)"),
        ({"model": logits_of(dtype=tf.float16)}, "float16.*float32"),
        ({"model": logits_of(value=np.nan)}, "NaN or infinite"),
        ({"suites": [gradient_suite(gradient="identity")]}, "asks for the gradient 'identity'"),
        ({"suites": [auto_attack(), auto_attack()]}, "a name of its own"),
    ],
)
def test_mistakes_get_one_line(line, change, words):
    given = {"model": line.logits, "images": line.images[:2], "labels": line.labels[:2], **change}
    with pytest.raises(UserError, match=words) as caught:
        evaluate(**given, progress=False)
    assert "\n" not in str(caught.value)
