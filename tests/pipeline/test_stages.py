"""The graph: what a change of a setting re-runs, what reads the test images, what training may see."""  # noqa: E501

import dataclasses

import pytest

from madvae_tf.config.overrides import load_config
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.precision import resolve_precision
from pipeline.graph.stages import STAGES, build_stages
from tests.pipeline.graph import stages, upstream

VARIANTS = ("vanilla", "cls", "pd", "combined")


def rerun(*assignments, command="run"):
    """Labels of the stages that the change runs again, without the report, which always does."""
    before, after = stages(), stages(*assignments, command=command)
    keys = {stage.key for stage in before.values()}
    changed = {label for label, stage in after.items() if stage.key not in keys}
    assert "report" in changed
    return changed - {"report"}


def of(*variants):
    return {f"{kind} {variant}" for variant in variants for kind in ("vae", "evaluate", "export")}


# The baselines that the default configuration has: they cost next to nothing.
BASELINE = {
    f"{kind}{name}"
    for kind in ("baseline ", "evaluate baseline-")
    for name in ("binarization", "blur")
}


def sets(split):
    return {label for label in stages() if label.startswith(f"attack {split}-")}


EVALUATE = {
    "evaluate none",
    *(f"evaluate {variant}" for variant in VARIANTS),
    *("evaluate baseline-binarization", "evaluate baseline-blur"),
}
ALL = set(stages()) - {"report"}
# Not the one that "auto" stands for on this machine: that would be no change.
OTHER_PRECISION = "float32" if resolve_precision("auto") == "mixed_bfloat16" else "mixed_bfloat16"
CHANGES = {
    "name=other": set(),
    "vae.gamma=0.3": of("combined"),
    "vae.alpha=0.3": of("cls"),
    "vae.sigma=1e-4": of("pd", "combined"),
    "vae.proximity=0.1": of("pd", "combined"),
    "vae.beta=0.2": of(*VARIANTS),
    "vae.epochs=11": of(*VARIANTS),
    "vae.epoch_steps=7": of(*VARIANTS),
    "vae.warmup_epochs=2": of(*VARIANTS) | {"vae warmup"},
    f"attack.train_precision={OTHER_PRECISION}": of(*VARIANTS) | sets("train"),
    "evaluate.batch_size=100": EVALUATE,
    "attack.test_epsilon=0.31": (
        EVALUATE
        | {
            f"attack test-{name}"
            for name in ("fgsm-0.31", "rand_fgsm-0.31", "pgd-0.31", "mi_fgsm-0.31")
        }
    ),
    "attack.test_attacks=fgsm": EVALUATE,
    "attack.test_clean_images=500": EVALUATE | {"attack test-none"},
    "attack.max_pixels=50": EVALUATE | {"attack test-single_pixel"},
    "attack.train_images=100": (
        of(*VARIANTS) | {label for label in sets("train") if "fgsm" in label}
    ),
    "attack.validation_images=100": (
        of(*VARIANTS) | sets("validation") - {"attack validation-cw-7.5"}
    ),
    "baselines.blur_sigma=2.0": {"baseline blur", "evaluate baseline-blur"},
    "baselines.gan_steps=9": set(),
    "robust.epsilon=0.2": set(),
    "vae.variants=vanilla,cls,pd,combined,robust": of("robust"),
    "classifier.epochs=9": ALL - {"data mnist"},
    "seed=1": ALL - {"data mnist"},
    "data.validation_images=4000": ALL - {"data mnist"},
    "data.path=/some/folder": ALL,
}


@pytest.mark.parametrize(("assignment", "expected"), CHANGES.items(), ids=CHANGES.keys())
def test_a_change_reruns_what_depends_on_it_and_nothing_else(assignment, expected):
    assert rerun(assignment) == expected


def test_what_the_command_was_changes_only_the_report():
    assert rerun(command="another") == set()


def test_a_precision_that_auto_stands_for_is_the_same_setting(monkeypatch):
    for machine in ("float32", "mixed_bfloat16"):
        monkeypatch.setattr(
            "pipeline.graph.main_stages.resolve_precision",
            lambda p, m=machine: m if p == "auto" else p,
        )
        assert stages(f"vae.precision={machine}")["vae cls"].key == stages()["vae cls"].key


def test_fewer_variants_keep_the_keys_of_the_rest():
    less, more = stages("vae.variants=cls"), stages()
    assert {label for label in less if label.startswith(("vae", "export", "evaluate"))} == {
        "vae cls",
        "export cls",
        "export classifier",
        "evaluate none",
        "evaluate cls",
        *("evaluate baseline-binarization", "evaluate baseline-blur"),
    }
    assert all(stage.key == more[label].key for label, stage in less.items() if label != "report")


def test_a_warm_up_is_vanilla_and_every_variant_goes_on_where_it_ended():
    graph = stages("vae.warmup_epochs=2", "vae.warmup_learning_rate=3e-3", "vae.gamma=0.7")
    warmup = graph["vae warmup"]
    given, vanilla = (graph[f"vae {name}"].config["parameters"] for name in ("warmup", "vanilla"))
    assert warmup.config["defense"] == "vanilla"
    changed = {name for name in given if given[name] != vanilla.get(name)}
    assert changed == {"epochs", "learning_rate", "final_learning_rate"}
    assert (given["epochs"], vanilla["first_epoch"]) == (2, 2) and "first_epoch" not in given
    assert given["learning_rate"] == given["final_learning_rate"] == 3e-3
    for variant in VARIANTS:
        stage = graph[f"vae {variant}"]
        assert stage.inputs["trained:warmup"] is warmup
        assert stage.config["parameters"]["first_epoch"] == 2
    assert rerun("vae.gamma=0.3") == of("combined")
    # A learning rate that the search found is that of the variants' own epochs: the warm-up stays.
    other = stages(
        "vae.warmup_epochs=2",
        "vae.warmup_learning_rate=3e-3",
        "vae.gamma=0.7",
        "vae.learning_rate=4e-4",
    )
    assert other["vae warmup"].key == warmup.key
    # As are epochs that are shorter than the pairs.
    other = stages("vae.warmup_epochs=2", "vae.warmup_learning_rate=3e-3", "vae.epoch_steps=30")
    assert other["vae warmup"].key == warmup.key
    assert (
        other["vae cls"].cost == 30 * 64 * 10 / 400
        and other["vae cls"].config["parameters"]["epoch_steps"] == 30
    )


def test_robust_makes_its_attacks_itself():
    """Neither the adversarial sets nor the warm-up nor the other variants' settings reach it."""
    given = ("vae.variants=cls,robust", "vae.warmup_epochs=2")
    stage = stages(*given)["vae robust"]
    assert set(stage.inputs) == {"data", "classifier"} and not stage.config["pairs"]
    alone = stages("vae.variants=robust", "vae.warmup_epochs=2")
    assert alone["vae robust"].key == stage.key and "vae warmup" not in alone
    for change in (
        "vae.epochs=9",
        "vae.gamma=0.7",
        "attack.train_images=100",
        "vae.warmup_epochs=1",
    ):
        assert stages(*given, change)["vae robust"].key == stage.key
    for change in (
        "robust.epsilon=0.2",
        "robust.average=0.9",
        "vae.latent_size=64",
        "classifier.epochs=9",
    ):
        assert stages(*given, change)["vae robust"].key != stage.key
    assert stages(*given, "robust.epsilon=0.2")["vae cls"].key == stages(*given)["vae cls"].key
    # 2 x 859 steps of 64 images, and three validations of 500 x 20 attack steps at two fifths of a
    # step.
    assert stage.cost == pytest.approx((2 * 859 * 64 + 3 * 500 * 20 * 0.4) / 240, rel=0.01)


def test_nothing_of_the_test_split_reaches_training_and_validation_is_held_out():
    graph = stages()
    for variant in VARIANTS:
        stage = graph[f"vae {variant}"]
        assert upstream(stage) == {"data mnist", "classifier"} | sets("train") | sets("validation")
        for name, read in stage.inputs.items():
            if ":" in name:  # train:... and validation:... are read as what they are called
                assert read.config["split"] == name.split(":")[0] == read.instance.split("-")[0]
    assert upstream(graph["classifier"]) == {"data mnist"}
    for label in sets("train") | sets("validation"):
        assert upstream(graph[label]) == {"data mnist", "classifier"}
    for variant in ("none", *VARIANTS):
        read = upstream(graph[f"evaluate {variant}"])
        assert sets("test") < read
        assert {name.split(":")[0] for name in graph[f"evaluate {variant}"].inputs} <= {
            *("data", "classifier", "defense", "set"),
        }


def test_training_settings_draw_their_own_images_and_test_attacks_share_theirs():
    graph = stages(
        "attack.train_images=100", "attack.train_cw_images=100", "attack.train_clean_images=100"
    )
    draws = {label: tuple(graph[label].config["draw"]) for label in sets("train") | sets("test")}
    assert len({draws[label] for label in sets("train")}) == len(sets("train")) == 10
    assert {draws[label] for label in sets("test")} == {("test",)}
    assert {graph[label].config["images"] for label in sets("test") - {"attack test-none"}} == {
        1000
    }


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        # ..., attack, vae, tune, baseline, reference, substitute, black_box, evaluate, clusters, time, robustness, report, export  # noqa: E501
        ("smoke", (1, 1, 21, 7, 1, 5, 1, 1, 6, 11, 10, 1, 14 + 5 + 6 + 1, 1, 5)),
        # One suite and the worst case for the classifier and each variant.
        ("quick", (1, 1, 21, 6, 0, 2, 0, 0, 0, 8, 0, 0, 6 * 2, 1, 6)),
        ("demo", (1, 1, 11, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 2)),
        ("paper", (1, 1, 21, 4, 0, 11, 0, 5, 30, 16, 10, 0, 0, 1, 5)),
        ("reference", (1, 1, 20, 4, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 5)),
        ("full", (1, 1, 21, 15, 1, 11, 7, 5, 30, 31, 10, 1, 5 * 2, 1, 5)),
        ("fashion", (1, 1, 21, 5, 1, 11, 7, 5, 30, 23, 10, 1, 5 * 2, 1, 5)),
        # Eight defences, one L-infinity and three L2 budgets: the classifier 2 suites and the worst
        # case, a variant 7 (and the overpowered attack in L2) and it, a baseline 4 and it; sanity.
        # Beside these the joint loss (not the classifier), values and labels only for each budget,
        # BPDA through the squash of `robust` and across its threshold, one pixel and its worst
        # case, natural changes, and detection (not the classifier).
        ("robust", (1, 1, 21, 6, 0, 2, 0, 0, 0, 8, 0, 0, 6 * 2, 1, 6)),
        # The classifier: four suites and the worst case in L-infinity, AutoAttack and it for each
        # of three L2 budgets, one pixel and it, natural changes, sanity. A paper's variant: PGD and
        # APGD thrice, AutoAttack and the worst case; the overpowered attack, AutoAttack and it in
        # L2; sanity. `robust` meets every suite.
        (
            "published",
            (
                1,
                1,
                21,
                12,
                0,
                2,
                0,
                0,
                0,
                8,
                0,
                0,
                (5 + 6 + 2 + 1 + 1) + 4 * (5 + 9 + 1) + 34,
                1,
                6,
            ),
        ),
        (
            "robustness",
            (1, 1, 21, 12, 0, 2, 0, 0, 0, 8, 0, 0, 53 + 3 * 58 + 8 + 4 * 23 + 3 + 8 * 3 + 10, 1, 6),
        ),
    ],
)
def test_the_committed_configs_make_a_graph(name, sizes):
    config = load_config(f"configs/{name}.py")
    graph = build_stages(config, "run")
    assert tuple(len(graph[kind]) for kind in STAGES) == sizes
    assert graph["report"][0].publish_to == "report"
    assert {stage.publish_to for stage in graph["export"]} == {
        f"export/{s.instance}" for s in graph["export"]
    }


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("data.name=minst", "Unknown dataset 'minst'. Did you mean 'mnist'"),
        ("classifier.name=table7", "Unknown classifier 'table7'"),
        ("vae.variants=combine", "Unknown variant 'combine'. Did you mean 'combined'"),
        ("baselines.names=blurr", "Unknown baseline 'blurr'. Did you mean 'blur'"),
        ("baselines.names=defense_vae_e2e", "received defense_vae_e2e without defense_vae"),
        ("reference.settings=mean", "Unknown reference setting 'mean'"),
        (
            "robustness.defenses=clss",
            "Unknown defence of section robustness 'clss'. Did you mean 'cls'",
        ),
        ("robustness.suites=autoatack", "Invalid robustness.suites: received 'autoatack'"),
        (
            "robustness.threat_models=white_box",
            "Invalid robustness.threat_models: received 'white_box'",
        ),
        ("robustness.linf=1.5", "at most 1, the range of a pixel"),
        ("robustness.targets=1000", "at most 999"),
        (
            "robustness.carried_suites=natural",
            "received 'natural', expected of gradient, bpda, eot",
        ),
        (
            "robustness.sanity_norm=l2",
            "Invalid robustness.sanity_norm: received 'l2', expected empty or a norm",
        ),
        ("robustness.l2_suites=bdpa", "Invalid robustness.l2_suites: received 'bdpa'"),
        (
            "robustness.l2_threat_models=white_box",
            "Invalid robustness.l2_threat_models: received 'white_box'",
        ),
        ("robustness.brief=clss", "Unknown defence in robustness.brief 'clss'. Did you mean 'cls'"),
        ("robustness.brief_suites=bdpa", "Invalid robustness.brief_suites: received 'bdpa'"),
        ("black_box.substitutes=F", "Invalid black_box.substitutes: received 'F'"),
        ("seeds=1,2", r"Invalid seeds: received \(1, 2\), expected seed \(0\) among them"),
        ("attack.test_attacks=pdg", "Unknown attack 'pdg'. Did you mean 'pgd'"),
    ],
)
def test_unknown_names_are_refused_before_anything_runs(assignment, message):
    with pytest.raises(UserError, match=message):
        stages(assignment)


def test_seeds_train_every_variant_again_on_the_same_data():
    graph = stages("seeds=0,5", "vae.warmup_epochs=1")
    for variant in VARIANTS:
        first, second = graph[f"vae {variant}"], graph[f"vae {variant}-seed5"]
        assert first.key == stages("vae.warmup_epochs=1")[f"vae {variant}"].key
        assert (first.config["parameters"]["seed"], second.config["parameters"]["seed"]) == (0, 5)
        shared = {name for name in first.inputs if first.inputs[name] is second.inputs[name]}
        assert shared == set(first.inputs) - {"trained:warmup"}
        assert second.inputs["trained:warmup"].config["parameters"]["seed"] == 5
        evaluation = graph[f"evaluate {variant}-seed5"]
        assert evaluation.config["row_seed"] == 5 and not evaluation.config["details"]
    assert "export cls-seed5" not in graph and "evaluate none-seed5" not in graph


@pytest.mark.parametrize("name", ["full", "robustness"])
def test_larger_configurations_reuse_what_quick_made(name):
    """All but `robust`: full.py has none, robustness.py trains it for longer, and attacks more
    images with more restarts.
    """
    quick, more = (
        {
            stage.label: stage.key
            for kind in STAGES
            for stage in build_stages(load_config(path), "run")[kind]
        }
        for path in ("configs/quick.py", f"configs/{name}.py")
    )
    robust = {f"{kind} robust" for kind in ("vae", "evaluate", "export")}
    attacked = "robustness robust-" if name == "full" else "robustness "
    robust |= {label for label in quick if label.startswith(attacked)}
    assert {label for label in quick if more.get(label) != quick[label]} == {"report", *robust}


def test_costs_are_shown_and_are_in_no_key():
    graph = stages()
    stage = graph["vae cls"]
    dearer = dataclasses.replace(stage, cost=stage.cost + 1)
    assert stage.cost > 0 and dearer.key == stage.key
