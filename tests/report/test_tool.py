"""The page as a tool: its parts in the HTML, and what they do in a real browser."""

import base64
import hashlib
import io
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import chromium

from madvae_tf.report import curves, rendering, write_report
from madvae_tf.report.parts import Section
from madvae_tf.utils.errors import UserError

_PGD = {"norm": "linf", "epsilon": 0.3}


def curve_rows(rate):
    """A curve over three budgets for two defences."""
    kept = {"none": (990, 120, 0), "combined": (970, 650, 80)}
    return [
        rate(
            hits,
            table="robustness",
            attack="pgd_curve",
            defense=defense,
            threat_model="end_to_end",
            parameters={**_PGD, "epsilon": at, "curve": "epsilon", "at": at},
        )
        for defense, values in kept.items()
        for at, hits in zip((0.0, 0.1, 0.4), values, strict=True)
    ]


@pytest.fixture
def tool(written, rows, images, rate, run):
    return written([*rows, *curve_rows(rate)], run, images)


def test_page_allows_its_own_script_by_hash_and_nothing_else(report):
    (script,) = re.findall(r"<script>(.*?)</script>", report.page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(
        r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', report.page
    )
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["script-src"] == f"'sha256-{digest}'" and rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:" and "connect-src" not in rules
    assert script == rendering.scripts() and len(script) < 12_000
    assert len(report.page) < 5e6


def test_gallery_holds_the_pixels_and_probabilities_that_it_was_given(report):
    (text,) = re.findall(r'id="explorer-data">(.*?)</script>', report.page, re.DOTALL)
    data = json.loads(text)
    sprite = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(data["sprite"].partition(",")[2]))), np.float32
    )
    assert data["labels"] == report.images["label"].tolist()
    for name in ("clean", "adversarial/pgd", "purified/pd/cw"):
        row = data["pictures"].index(name)
        tile = sprite[row * 28 : row * 28 + 28, 4 * 28 : 5 * 28]
        np.testing.assert_allclose(
            tile / 255, report.images[name][4, ..., 0], atol=0.5 / 255 + 1e-6
        )
    shares = report.images["probabilities/cls/fgsm"]
    np.testing.assert_allclose(
        np.array(data["probabilities"]["cls/fgsm"]) / 1e4, shares, atol=0.5e-4 + 1e-9
    )
    assert len(data["pictures"]) == 1 + 6 + 4 * 7


def test_gallery_is_left_out_without_purified_images_and_refuses_odd_probabilities(
    written, rows, images, tmp_path
):
    alone = {key: value for key, value in images.items() if not key.startswith("purified/")}
    assert 'id="explorer"' not in written(rows, images=alone).page
    bad = {**images, "probabilities/cls/fgsm": np.zeros(10)}
    with pytest.raises(
        UserError, match=r"probabilities/cls/fgsm.*shape \(10,\), expected \(k, classes\)"
    ):
        write_report(tmp_path / "other", {}, rows, bad)


def test_strip_of_the_robust_variant_is_shown_where_it_was_trained(written, rows, images):
    own = {
        key.replace("/combined/", "/robust/"): value
        for key, value in images.items()
        if "/combined/" in key
    }
    page = written(rows, images=images | own)
    assert (page.folder / "figures" / "strips_robust.svg").stat().st_size > 1000
    assert any("7 strips" in alt and alt.startswith("Beside the paper") for alt in page.parsed.alts)
    assert not any(alt.startswith("Beside") for alt in written(rows, images=images).parsed.alts)


def test_curve_has_a_mark_at_every_value(rate):
    page = rendering.page(
        "t", [Section("s", "S", [curves.curve("c", curve_rows(rate), "budget", "Title.", "Text.")])]
    )
    drawn = page.split("<figure")[1]
    marks = re.findall(
        r'<g class="point"[^>]*aria-label="([^"]*)">.*?cx="([\d.]+)" cy="([\d.]+)"', drawn
    )
    assert len(marks) == 6
    # Hand values: x from 46 to 466 for budgets 0 to 0.4, y from 12 (accuracy 1) to 256 (accuracy
    # 0).
    places = [(float(x), float(y)) for _, x, y in marks]
    expected = [(46, 14.4), (151, 226.7), (466, 256.0), (46, 19.3), (151, 97.4), (466, 236.5)]
    np.testing.assert_allclose(places, expected, atol=0.06)
    assert marks[4][0].startswith(
        "Combined, end_to_end, budget 0.1: accuracy 0.650, 95% interval 0.620 to 0.679"
    )


_COLUMN = "[...document.querySelectorAll('#attacks tbody tr')].map(r => r.cells[2].textContent)"
_HEAD = "document.querySelectorAll('#attacks thead th')[2]"
_PIXELS = (
    "[...document.querySelector('#picture-{0}').getContext('2d').getImageData(0,0,28,28).data]"
    ".filter((v,i) => i % 4 === 0)"
)
# What reaches over the right edge of the window.
_OVERFLOW = (
    "[...document.querySelectorAll('{0} td, {0} th, {0} .value, {0} .interval, {0} svg')]"
    ".filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)"
    ".map(e => e.textContent)"
)
_INK = (
    "[...new Set([...document.querySelectorAll('.chart text')].map(e => getComputedStyle(e).fill))]"
)
# The labels in the corner of a tile stand on a dark ground.
_WHITE = "rgb(255, 255, 255)"
_PICK = (
    "(() => {{const e = document.querySelector('#pick-{0}'); e.value = '{1}'; e.dispatchEvent(new"
    " Event('change'))}})()"
)


@chromium.needed
def test_page_in_a_browser(tool, images, tmp_path):
    """Sorting by click and key, a download, the curve's read-out and the gallery; no request,
    nothing on the console.
    """
    with chromium.Chromium(tmp_path / "profile") as page:
        page.size(1280, 900)
        page.open(
            (tool.folder / "index.html").as_uri(),
            "document.querySelector('#explorer')?.dataset.ready === 'yes'",
        )
        before = page.evaluate(_COLUMN)
        ordered = sorted(before, key=float)
        assert before != ordered
        page.evaluate(f"{_HEAD}.querySelector('button').click()")
        assert page.evaluate(_COLUMN) == ordered
        assert page.evaluate(f"{_HEAD}.getAttribute('aria-sort')") == "ascending"
        page.evaluate(f"{_HEAD}.querySelector('button').focus()")
        page.press("Enter", 13)
        assert page.evaluate(_COLUMN) == ordered[::-1]
        assert page.evaluate(f"{_HEAD}.getAttribute('aria-sort')") == "descending"
        page.press("Enter", 13)
        assert page.evaluate(_COLUMN) == before

        page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        page.evaluate("document.querySelector('a[download=\"table1.csv\"]').focus()")
        page.press("Enter", 13)
        for _ in range(300):
            if (tmp_path / "table1.csv").exists():
                break
            time.sleep(0.1)
        assert (tmp_path / "table1.csv").read_text(encoding="utf-8").startswith("Attack,")

        page.evaluate("document.querySelector('.curve .point').focus()")
        page.press("ArrowRight", 39)
        assert page.evaluate("document.querySelector('.curve output').textContent").startswith(
            "No defence, end_to_end, budget ε (L∞) 0.1: accuracy 0.120"
        )

        for name, value in {"digit": "6", "attack": "fgsm", "variant": "pd"}.items():
            page.evaluate(_PICK.format(name, value))
        for name, key in {
            "clean": "clean",
            "adversarial": "adversarial/fgsm",
            "purified": "purified/pd/fgsm",
        }.items():
            shown = np.array(page.evaluate(_PIXELS.format(name))).reshape(28, 28)
            np.testing.assert_allclose(shown / 255, images[key][6, ..., 0], atol=0.5 / 255 + 1e-6)
        said = page.evaluate("document.querySelector('#explorer-status').textContent")
        assert (
            said
            == "Digit 6. clean: classified as 6 (0.8200); adversarial: classified as 1 (0.8200),"
            " wrong; purified: classified as 6 (0.8200)."
        )
        assert (page.problems, page.requests) == ([], [(tool.folder / "index.html").as_uri()])

        # Table 1 fits the page, which is no wider than the window; a chart's ink is the page's,
        # light and dark.
        page.size(1000, 900)
        assert page.evaluate(_OVERFLOW.format("#table1")) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 1000
        light = page.evaluate(_INK)
        page.size(1000, 900, dark=True)
        assert light == ["rgb(23, 32, 43)", _WHITE] and page.evaluate(_INK) == [
            "rgb(232, 237, 242)",
            _WHITE,
        ]
        # A4 without its margins, printed: no figure is cut.
        page.size(688, 900)
        page.call("Emulation.setEmulatedMedia", media="print")
        assert page.evaluate(_OVERFLOW.format("body")) == []
        settings = "document.querySelector('#table1 details').getBoundingClientRect().height"
        assert page.evaluate(settings) > 0
