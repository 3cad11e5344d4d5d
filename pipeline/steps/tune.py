"""The stage that searches for the weights of the combined loss, on validation images."""

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps.common import load_classifier, load_model, paired_sets, splits_of


def tune_weights(context: Context) -> None:
    """Writes `tuned.json`, what was tried and how it did, `tuned.py`, a configuration for
    `--config`, and `tensorboard/`, the trials.

    The setting `config` is the whole configuration; what a trial shares with the variants is read
    from it; `weights` are gamma, beta, proximity and sigma, the hand-picked ones.
    """
    from madvae_tf.config import from_dict
    from madvae_tf.training import tensorboard
    from madvae_tf.training.purifier import PurifierSettings
    from madvae_tf.training.tuning import FACTORS, tune, tuned_source

    settings = context.config
    config = from_dict(settings["config"])
    splits = splits_of(context)
    warmup = context.inputs.get("warmup")
    hand_picked = {**settings["weights"], "learning_rate": settings["learning_rate"]}
    result = tune(
        PurifierSettings(
            title="",
            weights={},
            epochs=1,
            first_epoch=config.vae.warmup_epochs if warmup else 0,
            max_shift=config.vae.max_shift,
            reduction=config.vae.reduction,
            latent_scale=config.vae.latent_scale,
            checkpoint_steps=config.vae.checkpoint_steps,
            image_steps=config.vae.image_steps,
            **{name: settings[name] for name in _OF_A_TRIAL},
        ),
        {name: hand_picked[name] for name in FACTORS},
        settings["trials"],
        settings["images"],
        paired_sets(context, splits["train"], "train"),
        paired_sets(context, splits["validation"], "validation"),
        load_classifier(context.inputs["classifier"]),
        settings["classifier"],
        load_model(warmup / "purifier.keras") if warmup else None,
        context.scratch,
    )
    tensorboard.write_trials(context.folder / "tensorboard", result["trials"], result["objective"])
    write_json(context.folder / "tuned.json", result)
    (context.folder / "tuned.py").write_text(
        tuned_source(config, result["best"]["weights"]), encoding="utf-8"
    )


_OF_A_TRIAL = (
    "seed",
    "latent_size",
    "batch_size",
    "learning_rate",
    "final_learning_rate",
    "clip_norm",
    "precision",
)
