"""The training pipeline as inline SVG (the paper's Figure 6, our own drawing).

Top to bottom: a clean image is attacked; the purifier encodes the attacked image, draws a latent code and
decodes it; the frozen classifier reads the result. Each loss term hangs where it is measured.
"""

from collections.abc import Mapping

import numpy as np

from madvae_tf.report.explorer import png
from madvae_tf.report.rendering import data_uri

ALT = (
    "Training pipeline. A clean image x with label y is attacked to give x_adv. The encoder maps x_adv to a mean and a "
    "log-variance, a latent code z is drawn, and the decoder turns z into the purified image, which the frozen "
    "classifier reads. Loss terms: KL divergence at the mean and log-variance; proximity and distance at z, against "
    "the class centres; reconstruction at the purified image, against x; classification at the classifier, against y."
)

_STYLE = """
.pl text{font:600 15px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#17202b}
.pl .small{font-weight:400;font-size:12.5px;fill:#46525f}
.pl .box{fill:#f5f7fa;stroke:#5b6876;stroke-width:1.5}
.pl .net{fill:#dcebf7;stroke:#0b5c95}
.pl .frozen{fill:#eceff3;stroke:#5b6876;stroke-dasharray:5 4}
.pl .term{fill:#fdeedd;stroke:#a04a00;stroke-width:1.5}
.pl .wire{fill:none;stroke:#5b6876;stroke-width:1.6}
.pl .tip{fill:#5b6876}
.pl .dash{stroke-dasharray:2 4}
@media screen and (prefers-color-scheme:dark){
.pl text{fill:#e8edf2}.pl .small{fill:#b3bfca}.pl .box{fill:#1f262e;stroke:#8b98a5}
.pl .net{fill:#123349;stroke:#6bb5e8}.pl .frozen{fill:#272e36}.pl .term{fill:#402a13;stroke:#f0a35c}
.pl .wire{stroke:#8b98a5}.pl .tip{fill:#8b98a5}}
"""

_LEFT, _WIDTH = 176, 196
_MIDDLE = _LEFT + _WIDTH // 2


def pipeline_svg(images: Mapping[str, np.ndarray]) -> str:
    """The drawing as one `<svg>` element, 380 units wide, so that it is readable at phone width.

    Args:
        images: "clean", "adversarial" and "purified" -> (height, width, channels) in [0, 1]; those absent are left out.
    """
    pictures = {name: data_uri(png(image), "image/png") for name, image in images.items()}
    parts = [
        _box(8, 10, 138, 58, "box"),
        _label(_text_at(20, pictures.get("clean")), 35, "clean x", "label y", anchor="start"),
        _thumbnail(92, 15, pictures.get("clean")),
        _box(_LEFT, 10, _WIDTH, 58, "box"),
        _label(_MIDDLE, 35, "attack", "FGSM · Rand-FGSM · CW"),
        _arrow(f"M146 39H{_LEFT - 8}", _LEFT, 39, "right"),
    ]
    y = 98
    parts += [
        *_step(y, 58, "box", _sub("x", "adv"), "adversarial image", pictures.get("adversarial")),
        *_step(186, 46, "box net", "encoder", ""),
        *_step(262, 46, "box", "μ, log σ²", ""),
        *_step(338, 58, "box", "z = μ + σ · ε", "to purify: z = μ"),
        *_step(426, 46, "box net", "decoder", ""),
        *_step(502, 58, "box", "purified", "image", pictures.get("purified")),
        *_step(590, 58, "box frozen", "classifier", "frozen"),
    ]
    # x and y run down the left edge to the two terms that compare with them.
    parts += [
        '<path class="wire dash" d="M34 68V531H60"/>',
        '<path class="wire dash" d="M18 68V619H60"/>',
        '<text class="small" x="40" y="92">x</text><text class="small" x="5" y="92">y</text>',
        _term(262, 46, _sub("L", "kl"), "all variants", 285),
        _term(338, 58, f"{_sub('L', 'p')} − {_sub('L', 'd')}", "pd, combined", 367),
        '<path class="wire dash" d="M110 408V396"/>',
        '<text class="small" x="110" y="422" text-anchor="middle">centres c₀ … c₉</text>',
        _term(502, 58, _sub("L", "r"), "all variants", 531),
        _term(590, 58, _sub("L", "c"), "cls, combined", 619),
    ]
    return (
        '<svg class="pl" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 380 656" role="img" '
        f'aria-labelledby="pl-title"><title id="pl-title">{ALT}</title><style>{_STYLE}</style>{"".join(parts)}</svg>'
    )


def _step(top: int, height: int, kind: str, title: str, note: str, picture: str | None = None) -> list[str]:
    center = _MIDDLE if picture is None else _MIDDLE - 28
    return [
        _arrow(f"M{_MIDDLE} {top - 30}V{top - 8}", _MIDDLE, top, "down"),
        _box(_LEFT, top, _WIDTH, height, kind),
        _label(center, top + (25 if note else height // 2 + 5), title, note),
        _thumbnail(_LEFT + _WIDTH - 54, top + 5, picture),
    ]


def _term(top: int, height: int, title: str, users: str, wire: int) -> str:
    return (
        f'<rect class="term" x="60" y="{top}" width="100" height="{height}" rx="14"/>'
        f"{_label(110, top + height // 2 - 3, title, users)}"
        f'<path class="wire dash" d="M160 {wire}H{_LEFT}"/>'
    )


def _box(left: int, top: int, width: int, height: int, kind: str) -> str:
    return f'<rect class="{kind}" x="{left}" y="{top}" width="{width}" height="{height}" rx="7"/>'


def _label(x: int, y: int, title: str, note: str, anchor: str = "middle") -> str:
    words = f'<text x="{x}" y="{y}" text-anchor="{anchor}">{title}</text>'
    if note:
        words += f'<text class="small" x="{x}" y="{y + 19}" text-anchor="{anchor}">{note}</text>'
    return words


def _text_at(x: int, picture: str | None) -> int:
    return x if picture else x + 24


def _thumbnail(x: int, y: int, picture: str | None) -> str:
    if picture is None:
        return ""
    return (
        f'<image x="{x}" y="{y}" width="48" height="48" href="{picture}" style="image-rendering:pixelated"/>'
    )


def _arrow(path: str, x: int, y: int, direction: str) -> str:
    tip = f"M{x} {y}l-5 -9h10z" if direction == "down" else f"M{x} {y}l-9 -5v10z"
    return f'<path class="wire" d="{path}"/><path class="tip" d="{tip}"/>'


def _sub(letter: str, index: str) -> str:
    return f'{letter}<tspan dy="4" font-size="11">{index}</tspan><tspan dy="-4">&#8203;</tspan>'
