"""The playground's page, on gradio: controls in, pictures and probabilities out. All it computes is
`session`'s.
"""

from pathlib import Path
from typing import Any

import gradio  # pyright: ignore[reportMissingImports]
import numpy as np
from PIL import Image

from madvae_tf.playground.session import (
    ATTACKS,
    LIMITS,
    THREAT_MODELS,
    Session,
    View,
    from_drawing,
    sample_images,
)
from madvae_tf.utils.errors import UserError

_SCALE = 8
_CANVAS = 280
# Fonts of the system: the page asks no other machine for any.
_FONTS = ["system-ui", "sans-serif"]


def build(session: Session, workdir: Path) -> gradio.Blocks:
    """The page for the exports of `session`; test images come from `workdir`, if it has any."""
    picked = sample_images(workdir)
    with gradio.Blocks(title="MAD-VAE playground", analytics_enabled=False) as page:
        gradio.Markdown(f"# MAD-VAE playground\n**{LIMITS}**")
        chosen = gradio.State(0 if picked else None)
        with gradio.Row():
            with gradio.Column(min_width=300):
                source = gradio.Radio(
                    [("Test image", "test"), ("Drawing", "drawing")],
                    value="test" if picked else "drawing",
                    label="Image",
                    visible=bool(picked),
                )
                gallery = gradio.Gallery(
                    [(_shown(image, 2), str(label)) for image, label in picked],
                    label="Clean test images with their labels",
                    columns=5,
                    height=230,
                    selected_index=0 if picked else None,
                    allow_preview=False,
                    interactive=False,
                    buttons=[],  # One of the usual ones sends pictures to another machine.
                    visible=bool(picked),
                    elem_id="gallery",
                )
                sketch = gradio.Sketchpad(
                    label="Draw one digit, with the brush at the left",
                    canvas_size=(_CANVAS, _CANVAS),
                    fixed_canvas=True,
                    layers=False,
                    buttons=[],
                    brush=gradio.Brush(default_size=20, colors=["#000000"], color_mode="fixed"),
                    elem_id="sketch",
                )
            with gradio.Column(min_width=300):
                model = gradio.Radio(
                    [(title, name) for name, title in THREAT_MODELS.items()],
                    value="oblivious",
                    label="Threat model: what the attacker knows",
                )
                attack = gradio.Dropdown(
                    [(title, name) for name, title in ATTACKS.items()], value="pgd", label="Attack"
                )
                epsilon = gradio.Slider(
                    0.0, 0.5, 0.3, step=0.02, label="Epsilon (L-infinity budget)"
                )
                variant = gradio.Dropdown(
                    session.variants,
                    value="combined" if "combined" in session.variants else session.variants[0],
                    label="Purifier",
                )
                button = gradio.Button("Attack and purify", variant="primary", elem_id="go")
        said = gradio.Markdown(elem_id="said")
        outputs: list[Any] = [said]
        with gradio.Row():
            for title in ("Clean", "Adversarial", "Purified"):
                with gradio.Column(min_width=200):
                    outputs.append(
                        gradio.Image(
                            label=title,
                            height=240,
                            interactive=False,
                            format="png",
                            buttons=[],
                            elem_id=f"picture-{title.lower()}",
                        )
                    )
                    outputs.append(
                        gradio.Label(label=f"{title}: the classifier says", num_top_classes=3)
                    )

        def choose(event: gradio.SelectData) -> tuple[int, str]:
            return event.index, "test"

        def go(place: int | None, drawn: Any, source: str, *controls: Any) -> list[Any]:
            try:
                image = (
                    from_drawing(_ink(drawn))
                    if source == "drawing" or place is None
                    else picked[place][0]
                )
                model, attack, epsilon, variant = controls
                outcome = session.run(image, attack, epsilon, model, variant)
            except UserError as error:
                raise gradio.Error(str(error)) from None
            lines = (
                f"{outcome.summary()} Change: L-infinity {outcome.linf:.3f}, L2 {outcome.l2:.2f}."
            )
            if outcome.clean_purified.label != outcome.clean.label:
                lines += (
                    " Even without an attack the purifier changes the answer, to"
                    f" {outcome.clean_purified.label}."
                )
            views = (outcome.clean, outcome.adversarial, outcome.purified)
            return [
                lines,
                *(each for view in views for each in (_shown(view.image, _SCALE), _named(view))),
            ]

        gallery.select(choose, None, [chosen, source])
        sketch.input(lambda: "drawing", None, source)
        button.click(
            go,
            [chosen, sketch, source, model, attack, epsilon, variant],
            outputs,
            api_name="attack",
        )
    return page


def serve(session: Session, workdir: Path, port: int) -> None:
    """Shows the page on the loopback address alone, until it is interrupted."""
    theme = gradio.themes.Default(  # pyright: ignore[reportPrivateImportUsage]
        font=_FONTS, font_mono=["ui-monospace", "monospace"]
    )
    build(session, workdir).launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        theme=theme,
        footer_links=[],
    )


def _ink(drawn: Any) -> np.ndarray:
    """Where the sketch has ink, float (height, width) in [0, 1]: dark on a light or a transparent
    ground.
    """
    composite = None if drawn is None else drawn.get("composite")
    if composite is None:
        return np.zeros((1, 1))
    pixels = np.asarray(composite, np.float64) / 255
    if pixels.ndim == 2:
        return 1 - pixels
    darkness = 1 - pixels[..., :3].mean(axis=-1)
    return darkness * (pixels[..., 3] if pixels.shape[-1] == 4 else 1)


def _shown(image: np.ndarray, scale: int) -> Image.Image:
    """float (28, 28, 1) in [0, 1] as a picture with every pixel a square."""
    pixels = np.clip(np.round(image[..., 0] * 255), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(
        (pixels.shape[1] * scale, pixels.shape[0] * scale), Image.Resampling.NEAREST
    )


def _named(view: View) -> dict[str, float]:
    return {str(digit): float(share) for digit, share in enumerate(view.probabilities)}
