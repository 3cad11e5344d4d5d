"""Figures 2-5 and 12-17 and the table of their measures; bad embeddings are refused in one line."""

import io

import matplotlib.image
import numpy as np
import pytest

from madvae_tf.report.charts import CLASS_COLORS, scatter_panels
from madvae_tf.report.clusters import FIGURES
from madvae_tf.report.names import POOLED_ATTACK
from madvae_tf.utils.errors import UserError


def embedding(stem, n=40, predicted=True):
    draw = np.random.default_rng(5)
    label = np.arange(n) % 10
    arrays = {f"{stem}/xy": draw.normal(0, 1, (n, 2)).astype(np.float32), f"{stem}/label": label}
    return arrays | ({f"{stem}/predicted": (label + 1) % 10} if predicted else {})


def measure(
    row, of, defense, value, metric="silhouette", labels="label", space="features", **changes
):
    common = {
        "table": "clusters",
        "attack": "none" if of == "test" else POOLED_ATTACK,
        "defense": defense,
    }
    parameters = {"of": of, "labels": labels, "space": space, "k": 10}
    interval = {"ci_low": None, "ci_high": None}
    return row(
        **{
            **common,
            "metric": metric,
            "value": value,
            "parameters": parameters,
            **interval,
            **changes,
        }
    )


def test_figures_have_the_papers_numbers_and_their_n(written):
    clusters = {}
    for index, stem in enumerate(("latent/combined", "output/pd", "test/none")):
        clusters |= embedding(stem, 40 + index, predicted=stem != "test/none")
    report = written([], {"seed": 3}, clusters=clusters)
    names = sorted(path.name for path in (report.folder / "figures").glob("figure*.svg"))
    assert names == ["figure02_test.svg", "figure04_output_pd.svg", "figure17_latent_combined.svg"]
    captions = [part.split("</figcaption>")[0] for part in report.page.split("<figcaption>")[1:]]
    assert [caption.split(".")[0] for caption in captions] == [
        "<b>Figure 2",
        "<b>Figure 4",
        "<b>Figure 17",
    ]
    assert captions[0].endswith("Coloured by true label. n = 42, seed 3.")
    assert "Output of the purifier Proximity and distance" in captions[1]
    assert captions[1].endswith("n = 41, seed 3, threat model: oblivious.")
    assert (
        "Latent codes (means) of the purifier Combined" in captions[2] and "n = 40" in captions[2]
    )
    assert all(report.parsed.alts) and report.parsed.errors == []


def test_a_purifier_that_the_paper_has_no_figure_of_is_shown_without_a_number(written):
    report = written([], {"seed": 3}, clusters=embedding("latent/robust") | embedding("output/pd"))
    names = sorted(
        path.name for path in (report.folder / "figures").iterdir() if "latent" in path.name
    )
    assert names == ["clusters_latent_robust.pdf", "clusters_latent_robust.svg"]
    captions = [part.split("</figcaption>")[0] for part in report.page.split("<figcaption>")[1:]]
    assert captions[0].startswith("<b>Figure 4.</b>") and captions[1].startswith(
        "Latent codes (means) of"
    )
    assert "n = 40" in captions[1] and report.parsed.errors == []


def test_the_papers_order_of_the_figures():
    assert list(FIGURES.values()) == [2, 3, 4, 5, 12, 13, 14, 15, 16, 17]
    assert FIGURES["output/cls"] == 14 and FIGURES["latent/combined"] == 17


def colours(pixels):
    """The labels whose colour occurs among the pixels (height, width, 3)."""
    found = set()
    for label, color in enumerate(CLASS_COLORS):
        ink = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        # Points are a little transparent, on white.
        if (np.abs(pixels - (0.85 * ink + 0.15)).max(axis=2) < 0.02).any():
            found.add(label)
    return found


def drawn(figure):
    """A figure's pixels at 200 dots an inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200)
    return matplotlib.image.imread(io.BytesIO(buffer.getvalue()), format="png")


def test_each_panel_has_its_own_labels():
    points = np.stack([np.linspace(0, 1, 6), np.linspace(0, 1, 6)], axis=1)
    pixels = drawn(scatter_panels(points, np.full(6, 2), np.array([4, 4, 4, 7, 7, 7])))
    assert pixels.shape[:2] == (590, 960)
    # The legend, with all ten, is at the foot.
    assert colours(pixels[:480, :480, :3]) == {2} and colours(pixels[:480, 480:, :3]) == {4, 7}
    alone = drawn(scatter_panels(points, np.full(6, 2), None))
    assert alone.shape == pixels.shape and colours(alone[:480, :, :3]) == {2}


def test_measures_stand_in_their_columns(written, row):
    rows = [
        measure(row, "latent", "pd", 0.31),
        measure(row, "latent", "pd", -0.12, labels="predicted"),
        measure(row, "latent", "pd", 0.91, "knn_purity"),
        measure(row, "latent", "pd", 0.55, space="umap"),
        measure(row, "test", "none", 0.25, n=500),
    ]
    report = written(rows)
    head, test, latent = report.parsed.lines("clusters")
    assert head == [
        "Points",
        "Silhouette true label, as they are",
        "Silhouette predicted label, as they are",
        "Purity true label, as they are",
        "Silhouette true label, in the UMAP plane",
    ]
    assert test == ["Clean test images n = 500 · seed 0", "0.250", "–", "–", "–"]
    assert latent[0] == "Latent codes, Proximity and distance n = 1000 · seed 0"
    assert latent[1:] == ["0.310", "−0.120", "0.910", "0.550"]
    caption = report.page.split('id="clusters-caption">')[1].split("</p>")[0]
    assert "a point’s 10 nearest neighbours" in caption
    assert (
        "n = 500 to 1000, seed 0; attacks: FGSM + Rand-FGSM + CW-L2; threat model: oblivious."
        in caption
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output/none/xy": np.zeros((3, 2))}, "Unknown embedding 'output/none'"),
        ({"test/none/z": np.zeros(40)}, "Unknown array 'z'"),
        (
            {"test/none/xy": np.zeros((40, 3))},
            r"'test/none/xy': received float64 of shape \(40, 3\)",
        ),
        ({"test/none/xy": np.full((40, 2), np.nan)}, r"expected finite numbers \(n, 2\)"),
        ({"test/none/label": np.zeros(40)}, r"expected integers \(n,\) in 0..999"),
        ({"test/none/predicted": np.full(40, 1000)}, r"expected integers \(n,\) in 0..999"),
        ({"test/none/predicted": np.zeros(39, int)}, "of one length with predicted"),
        ({"latent/pd/xy": np.zeros((40, 2))}, "expected xy and label"),
    ],
)
def test_bad_embeddings_leave_nothing_half_written(written, tmp_path, change, message):
    with pytest.raises(UserError, match=message) as caught:
        written([], clusters={**embedding("test/none"), **change})
    assert "\n" not in str(caught.value) and not (tmp_path / "report").exists()
