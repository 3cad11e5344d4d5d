"""The stage that exports one variant, or the undefended classifier, as a SavedModel."""

from pipeline.engine.plan import Context
from pipeline.steps.common import load_classifier, load_model, start_anew


def export_defense(context: Context) -> None:
    """The SavedModel and the `.keras` file of one variant, or of the undefended classifier."""
    from madvae_tf.export.saved_model import export_classifier, export_purifier

    start_anew(context)
    classifier = load_classifier(context.inputs["classifier"])
    if "vae" in context.inputs:
        export_purifier(
            context.folder, load_model(context.inputs["vae"] / "purifier.keras"), classifier
        )
    else:
        export_classifier(context.folder, classifier)
