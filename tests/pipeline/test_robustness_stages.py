"""Stages of section `robustness`: who attacks what with which suites."""

import pytest

from madvae_tf.config.overrides import load_config
from madvae_tf.report import opening
from madvae_tf.utils.errors import UserError
from tests.pipeline.graph import stages, upstream


def test_each_defence_is_attacked_under_the_threat_models_that_it_has():
    graph = stages(
        "robustness.defenses=none,cls,blur", "robustness.suites=gradient,bpda,eot,autoattack"
    )
    found = {
        label.removeprefix("robustness ") for label in graph if label.startswith("robustness ")
    }
    both = ("gradient", "autoattack")
    assert found == {
        *(f"none-linf-0.3-end_to_end-{suite}" for suite in both),
        *(f"cls-linf-0.3-{model}-gradient" for model in ("oblivious", "transfer")),
        *(f"cls-linf-0.3-end_to_end-{suite}" for suite in (*both, "bpda", "eot")),
        "blur-linf-0.3-oblivious-gradient",
        *(f"blur-linf-0.3-end_to_end-{suite}" for suite in (*both, "bpda")),
        *(
            f"{name}-{last}"
            for name in ("none", "cls", "blur")
            for last in ("linf-0.3-worst", "sanity")
        ),
    }
    transfer = graph["robustness cls-linf-0.3-transfer-gradient"]
    surrogate = transfer.inputs["surrogate"]
    assert surrogate is graph["vae cls-seed1"] and transfer.inputs["defense"] is graph["vae cls"]
    assert surrogate.config["parameters"] == {**graph["vae cls"].config["parameters"], "seed": 1}
    assert "evaluate cls-seed1" not in graph
    worst = graph["robustness cls-linf-0.3-worst"]
    assert len(worst.inputs) == 6 and set(worst.inputs) == {
        f"part:{part}" for part in worst.config["parts"]
    }
    assert "robustness:cls-linf-0.3-worst" in graph["report"].inputs


def test_who_lacks_the_system_runs_the_carried_suites_only():
    given = ("robustness.defenses=cls", "robustness.suites=gradient,autoattack")
    graph = stages(*given)
    whole = stages(*given, "robustness.carried_suites=gradient,autoattack")
    for model in ("oblivious", "transfer"):
        assert f"robustness cls-linf-0.3-{model}-autoattack" not in graph
        kept = f"robustness cls-linf-0.3-{model}-gradient"
        assert graph[kept].key == whole[kept].key
    assert "robustness cls-linf-0.3-end_to_end-autoattack" in graph


def test_a_surrogate_may_meet_every_suite_and_the_classifier_alone_what_asks_for_logits():
    suites = (
        "gradient,bpda,eot,latent,joint,score,decision,one_pixel,overpowered,bpda_squash,crossing"
    )
    given = ("vae.variants=cls,robust", "robustness.defenses=none,robust", "robustness.l2=2")
    graph = stages(*given, f"robustness.suites={suites}", f"robustness.carried_suites={suites}")
    end = {label for label in graph if "robust-l" in label and "end_to_end" in label}
    # L-infinity, L2, one pixel.
    assert len(end) == 7 + 10 + 1
    logits = ("gradient", "score", "decision", "one_pixel")
    for model, carried in (
        ("transfer", end),
        ("oblivious", {label for label in end if label.endswith(logits)}),
    ):
        assert {label for label in graph if model in label} == {
            label.replace("end_to_end", model) for label in carried
        }


def test_sanity_is_measured_in_the_first_budget_and_around_a_squash():
    given = ("vae.variants=cls,robust", "robustness.defenses=cls,robust", "robustness.l2=2,4")
    graph = stages(*given)
    # Named only where it is another one than before it could be named.
    assert not {"norm", "epsilon", "squash"} & set(graph["robustness cls-sanity"].config)
    assert graph["robustness robust-sanity"].config["squash"] is True
    assert "squash" not in stages(*given, "robust.scale=0")["robustness robust-sanity"].config
    assert set(stages(*given, "robustness.sanity_norm=linf")) == set(graph)
    for change, ball in (
        ("robustness.linf=0.1,0.3", ("linf", 0.1)),
        ("robustness.linf=", ("l2", 2.0)),
        ("robustness.sanity_norm=l2", ("l2", 2.0)),
    ):
        own = stages(*given, change)["robustness cls-sanity"].config
        assert (own["norm"], own["epsilon"]) == ball


def test_l2_budgets_meet_their_suites_only():
    given = (
        "robustness.defenses=cls",
        "robustness.l2=2",
        "robustness.suites=gradient,bpda,autoattack",
    )
    whole = stages(*given)
    fewer = stages(*given, "robustness.l2_suites=autoattack,decision")
    place = "robustness cls-l2-2-"
    assert {label for label in whole if label not in fewer} == {
        f"{place}end_to_end-bpda",
        *(f"{place}{model}-gradient" for model in ("oblivious", "transfer", "end_to_end")),
    }
    # "decision" is none of `suites`.
    assert set(fewer) < set(whole)
    changed = {label for label in fewer if fewer[label].key != whole[label].key}
    assert changed == {f"{place}worst", "report"}


def test_l2_budgets_meet_their_threat_models_only():
    given = ("robustness.defenses=cls", "robustness.l2=2", "robustness.suites=gradient")
    whole = stages(*given)
    fewer = stages(
        *given,
        "robustness.l2_threat_models=end_to_end,transfer",
        "robustness.threat_models=end_to_end,oblivious",
    )
    place = "robustness cls-"
    # Transfer is none of `threat_models`, so that the surrogate is none of the stages.
    assert {label for label in whole if label not in fewer} == {
        f"{place}l2-2-oblivious-gradient",
        f"{place}l2-2-transfer-gradient",
        f"{place}linf-0.3-transfer-gradient",
        "vae cls-seed1",
    }


def test_a_brief_defence_meets_its_suites_and_no_detection():
    given = (
        "robustness.defenses=cls,blur",
        "robustness.suites=gradient,joint,natural,one_pixel",
        "robustness.detection_images=5",
    )
    whole = stages(*given)
    brief = stages(*given, "robustness.brief=cls", "robustness.brief_suites=gradient,bpda")
    place = "robustness cls-"
    assert {label for label in whole if label not in brief} == {
        *(f"{place}{what}" for what in ("linf-0.3-end_to_end-joint", "natural", "detection")),
        *(f"{place}l0-1-{what}" for what in ("end_to_end-one_pixel", "worst")),
    }
    assert set(stages(*given, "robustness.brief=pd,none")) == set(whole)
    # "bpda" is none of `suites`.
    assert set(brief) < set(whole)
    changed = {label for label in brief if brief[label].key != whole[label].key}
    assert changed == {f"{place}linf-0.3-worst", "report"}


def test_of_the_published_configuration_robust_alone_meets_every_suite():
    labels = {label.removeprefix("robustness ") for label in stages(config="published")}
    assert {"robust-linf-0.3-end_to_end-joint", "robust-natural", "robust-detection"} <= labels
    assert {
        "pd-linf-0.3-end_to_end-autoattack",
        "pd-linf-0.3-transfer-gradient",
        "pd-sanity",
    } <= labels
    assert {"robust-linf-0.3-end_to_end-bpda", "robust-l2-2-end_to_end-bpda_squash"} <= labels
    assert (
        not {
            "pd-linf-0.3-end_to_end-bpda",
            "pd-linf-0.3-end_to_end-joint",
            "pd-natural",
            "pd-detection",
            "pd-l0-1-worst",
        }
        & labels
    )
    # Without BPDA a step without a gradient would look like a defence.
    assert not any(label.startswith("binarization") for label in labels)


def test_the_published_weights_are_attacked_as_they_are_and_their_surrogate_is_quicks():
    graph = stages(config="published")
    surrogate = graph["vae robust-seed1"].config["parameters"]
    quick = load_config("configs/quick.py").robust
    assert (surrogate["seed"], surrogate["epochs"], surrogate["epoch_steps"]) == (
        1,
        quick.epochs,
        quick.epoch_steps,
    )
    transfer = graph["robustness robust-linf-0.3-transfer-gradient"]
    assert transfer.inputs["surrogate"] is graph["vae robust-seed1"]
    assert "content" in transfer.inputs["defense"].config


@pytest.mark.parametrize("suite", ["bpda_squash", "crossing"])
def test_attacks_on_the_squash_need_one(suite):
    given = (
        "vae.variants=cls,robust",
        "robustness.defenses=cls,robust",
        f"robustness.suites={suite}",
    )
    given += ("robustness.l2=2",)
    label = f"robustness {{}}-l2-2-end_to_end-{suite}"
    graph = stages(*given)
    assert label.format("robust") in graph and label.format("cls") not in graph
    assert label.format("robust") not in stages(*given, "robust.scale=0")
    # Its steps in L-infinity are those of the exact gradient.
    assert f"robustness robust-linf-0.3-end_to_end-{suite}" not in graph


def test_what_draws_images_meets_the_overpowered_attack_in_l2():
    given = (
        "baselines.names=defense_gan,blur",
        "robustness.defenses=cls,defense_gan,blur",
        "robustness.l2=4",
    )
    labels = stages(*given, "robustness.suites=overpowered")
    met = {label.partition(" ")[2] for label in labels if label.endswith("overpowered")}
    assert met == {f"{name}-l2-4-end_to_end-overpowered" for name in ("cls", "defense_gan")}


def test_a_part_of_the_images_for_what_looks_many_times():
    given = (
        "robustness.defenses=cls",
        "robustness.l2=4",
        "robustness.suites=gradient,eot,overpowered",
    )
    whole, part = (
        stages(*given),
        stages(*given, "robustness.eot_images=7", "robustness.overpowered_images=5"),
    )
    for label, subset in (("linf-0.3-end_to_end-eot", 7), ("l2-4-end_to_end-overpowered", 5)):
        # The keys of what was made before there was such a field hold.
        assert "subset" not in whole[f"robustness cls-{label}"].config
        assert part[f"robustness cls-{label}"].config["subset"] == subset
    same = "robustness cls-linf-0.3-end_to_end-gradient"
    assert part[same].key == whole[same].key


def test_an_l2_budget_may_have_fewer_images():
    given = ("robustness.defenses=cls", "robustness.l2=4", "robustness.suites=gradient")
    label = "robustness cls-{}-end_to_end-gradient"
    whole, part = stages(*given), stages(*given, "robustness.l2_images=7")
    assert part[label.format("l2-4")].config["images"] == 7
    assert part[label.format("l2-4")].cost < whole[label.format("l2-4")].cost
    for same in (
        label.format("linf-0.3"),
        "robustness cls-linf-0.3-worst",
        "robustness cls-sanity",
    ):
        assert part[same].key == whole[same].key


def test_brief_defences_may_meet_fewer_images_from_a_surrogate():
    given = ("robustness.defenses=cls,pd", "robustness.suites=gradient", "robustness.brief=cls")
    whole, part = stages(*given), stages(*given, "robustness.brief_transfer_images=7")
    changed = "robustness cls-linf-0.3-transfer-gradient"
    assert part[changed].config == {**whole[changed].config, "subset": 7}
    assert part[changed].cost < whole[changed].cost
    for threat_model in ("oblivious", "end_to_end"):
        same = f"robustness cls-linf-0.3-{threat_model}-gradient"
        assert part[same].key == whole[same].key
    assert part[changed.replace("cls", "pd")].key == whole[changed.replace("cls", "pd")].key


def test_a_seed_that_is_there_anyway_is_the_surrogate():
    graph = stages("robustness.defenses=cls", "seeds=0,3", "robustness.surrogate_seed=3")
    assert (
        graph["robustness cls-linf-0.3-transfer-gradient"].inputs["surrogate"]
        is graph["vae cls-seed3"]
    )
    assert "evaluate cls-seed3" in graph and "vae cls-seed1" not in graph


def test_a_trained_baseline_has_a_surrogate_with_what_it_starts_from_and_an_untrained_one_has_none():  # noqa: E501
    names = "defense_vae,defense_vae_e2e,mixture,adversarial_fgsm,magnet,defense_gan,blur"
    given = (f"baselines.names={names}", f"robustness.defenses={names.replace('defense_vae,', '')}")
    graph = stages(*given, "robustness.suites=gradient", "vae.warmup_epochs=2", "vae.epochs=3")
    trained = {label for label in graph if label.startswith("baseline ")}
    assert trained == {
        *(f"baseline {name}" for name in names.split(",")),
        *(f"baseline {name}-seed1" for name in names.split(",") if name != "blur"),
    }
    for label in trained - {"baseline blur"}:
        name = label.removeprefix("baseline ").removesuffix("-seed1")
        own, other = graph[f"baseline {name}"], graph[f"baseline {name}-seed1"]
        assert other.config == {**own.config, "seed": 1} and own.config["seed"] == 0
        assert set(other.inputs) == set(own.inputs) and other.key != own.key
        assert f"evaluate baseline-{name}-seed1" not in graph
        if name != "defense_vae":
            transfer = graph[f"robustness {name}-linf-0.3-transfer-gradient"]
            assert transfer.inputs["surrogate"] is other and transfer.inputs["defense"] is own
    start = graph["baseline defense_vae_e2e-seed1"].inputs["trained:defense_vae"]
    assert start is graph["baseline defense_vae-seed1"]
    warmup = graph["baseline mixture-seed1"].inputs["trained:warmup"]
    assert warmup.config["parameters"]["seed"] == 1
    assert graph["baseline mixture"].inputs["trained:warmup"].config["parameters"]["seed"] == 0
    assert not any(label.startswith("robustness blur") and "transfer" in label for label in graph)


def test_a_baseline_and_its_surrogate_need_two_seeds():
    with pytest.raises(UserError, match="surrogate_seed: received 0"):
        stages(
            "baselines.names=magnet", "robustness.defenses=magnet", "robustness.surrogate_seed=0"
        )


def test_the_test_images_of_robustness_reach_no_training():
    graph = stages("robustness.defenses=none,cls")
    for label, stage in graph.items():
        if label.startswith(("vae", "classifier", "attack")):
            assert not any(name.startswith("robustness") for name in upstream(stage))


def test_attacks_through_a_projection_are_said_to_take_as_long_as_its_steps():
    sets = ["baselines.names=defense_gan,identity", "robustness.defenses=defense_gan,identity"]

    def costs(steps):
        plan = stages(*sets, f"baselines.gan_steps={steps}", config="robustness")
        return {
            suite: [plan[f"robustness {name}-{suite}"].cost for name in ("defense_gan", "identity")]
            for suite in ("linf-0.3-end_to_end-gradient", "linf-0.3-oblivious-gradient")
        }

    short, long = costs(50), costs(100)
    projected, plain = long["linf-0.3-end_to_end-gradient"]
    assert projected == 2 * short["linf-0.3-end_to_end-gradient"][0] > 50 * plain
    # Made on the classifier alone.
    assert len(set(long["linf-0.3-oblivious-gradient"])) == 1


def test_make_run_measures_the_classifier_and_every_variant_end_to_end():
    graph = stages(config="quick")
    found = {
        label.removeprefix("robustness ") for label in graph if label.startswith("robustness ")
    }
    names = ("none", "vanilla", "cls", "pd", "combined", "robust")
    assert found == {
        f"{name}-linf-0.3-{last}" for name in names for last in ("end_to_end-gradient", "worst")
    }
    given = graph["robustness robust-linf-0.3-end_to_end-gradient"].config
    assert (given["images"], given["iterations"]) == (100, 100)
    # Those that there are: a configuration may have fewer, and one variant may be named beside
    # them.
    fewer = stages("vae.variants=cls", "robustness.defenses=none,cls,variants", config="quick")
    assert sum(label.endswith("-worst") for label in fewer) == 2
    transfer = stages(
        "vae.variants=cls", "robustness.defenses=variants", "robustness.threat_models=transfer"
    )
    assert "surrogate" in transfer["robustness cls-linf-0.3-transfer-gradient"].inputs


def test_what_the_end_of_a_run_offers_to_measure_is_what_make_run_measures():
    offered = stages(*opening.AWARE, "vae.variants=cls")
    own = {label: stage for label, stage in offered.items() if label.startswith("robustness ")}
    assert set(own) == {
        f"robustness {name}-linf-0.3-{last}"
        for name in ("none", "cls")
        for last in ("end_to_end-gradient", "worst")
    }
    quick = stages(config="quick")
    for label in own:
        numbers = {
            key: value
            for key, value in own[label].config.items()
            if key not in ("parameters", "parts")
        }
        assert numbers.items() <= quick[label].config.items()
