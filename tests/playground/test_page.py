"""The playground's page in a real browser: `make test-playground`, which installs gradio first."""

import contextlib
import importlib.util
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from madvae_tf.playground.session import LIMITS
from tests import chromium
from tests.playground.linear import softmax

gradio_needed = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="gradio is not installed (extra playground)"
)


@gradio_needed
def test_a_port_in_use_is_one_line(world):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "madvae_tf.playground",
            f"--workdir={world[0]}",
            f"--port={port}",
        ]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith(
        f"error: --port={port} cannot be had on 127.0.0.1"
    )
    assert "Traceback" not in process.stderr


# The bar and the stem of a 7, as shares of the canvas.
SEVEN = [(0.3, 0.25), (0.4, 0.25), (0.5, 0.25), (0.6, 0.25), (0.7, 0.25)]
SEVEN += [(0.65, 0.36), (0.6, 0.47), (0.55, 0.58), (0.5, 0.69), (0.45, 0.8)]
# The sheet lies in the middle of a wider canvas.
BOX = (
    "(() => {const b = document.querySelector('#sketch canvas').getBoundingClientRect();const s ="
    " Math.min(b.width, b.height, 280); return [b.x + (b.width - s) / 2, b.y + (b.height - s) / 2,"
    " s]})()"
)
# The pixel in the middle of each of the picture's 28 x 28 squares.
PIXELS = (
    "(() => {{const i = document.querySelector('#picture-{0} img'), c ="
    " document.createElement('canvas');c.width = i.naturalWidth; c.height = i.naturalHeight; const"
    " d = c.getContext('2d'); d.drawImage(i, 0, 0);const s = c.width / 28, p = d.getImageData(0, 0,"
    " c.width, c.height).data;return Array.from({{length: 784}}, (_, k) => p[4 *"
    " (Math.floor((Math.floor(k / 28) + 0.5) * s) * c.width + Math.floor((k % 28 + 0.5) *"
    " s))])}})()"
)


def wait_for(server, port, said):
    """Until the page is served."""
    end = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    pytest.fail(f"the playground does not answer: {said.read_text()}")


@chromium.needed
@gradio_needed
def test_a_digit_is_drawn_attacked_and_purified_in_a_browser(world, tmp_path):
    """What the page shows is the digit that was drawn, and what it says is what the models make of
    the pictures it shows.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    # A shell's background job ignores Ctrl-C, and so would what it starts, this server included.
    awake = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = (
        f"{awake}import runpy; runpy.run_module('madvae_tf.playground', run_name='__main__',"
        " alter_sys=True)"
    )
    command = [sys.executable, "-c", start, f"--workdir={world[0]}", f"--port={port}"]
    said_file = tmp_path / "said.txt"
    with said_file.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(server, port, said_file)
        with chromium.Chromium(tmp_path / "profile") as page:
            page.size(1280, 1000)
            page.open(
                f"http://127.0.0.1:{port}/",
                "document.querySelector('#sketch button[aria-label=Brush]') &&"
                " document.querySelector('#go')",
            )
            assert LIMITS in page.evaluate("document.body.innerText")
            said = "document.querySelector('#said')?.innerText.includes('The classifier says')"
            # A sketch that is not ready yet loses the click or the stroke, and nothing on the page
            # says when it is.
            for _ in range(10):
                if "select the draw tool" in page.evaluate(
                    "document.querySelector('#sketch').innerText"
                ):
                    page.evaluate(
                        "document.querySelector('#sketch button[aria-label=Brush]').click()"
                    )
                time.sleep(1)
                left, top, side = page.evaluate(BOX)
                page.drag([(left + side * x, top + side * y) for x, y in SEVEN])
                time.sleep(3)
                page.evaluate("document.querySelector('#go').click()")
                time.sleep(3)
                if page.evaluate(f"Boolean({said})"):
                    break
            page.wait(said)
            page.wait("document.querySelector('#picture-purified img')?.naturalWidth")
            page.screenshot(tmp_path / "page.png", whole=True)
            shown = {}
            for name in ("clean", "adversarial", "purified"):
                pixels = page.evaluate(PIXELS.format(name))
                shown[name] = np.array(pixels, np.float64).reshape(28, 28, 1) / 255
            summary = page.evaluate("document.querySelector('#said').innerText")
            assert all(
                request.startswith(("http://127.0.0.1", "http://localhost"))
                for request in page.requests
            )
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 130
    finally:
        server.kill()
        server.wait()
    assert (
        "Traceback" not in said_file.read_text() and "The playground ends." in said_file.read_text()
    )
    ink = shown["clean"][..., 0] > 0.3
    rows, lengths = np.flatnonzero(ink.any(axis=1)), ink.sum(axis=1)
    assert len(rows) == 20 and lengths[rows[0] + 1] >= 10 and lengths[rows[-1] - 1] <= 5
    # The stem leans to the left on its way down.
    assert np.flatnonzero(ink[rows[-2]]).mean() < np.flatnonzero(ink[rows[8]]).mean() - 2
    labels = {name: softmax(image).argmax() for name, image in shown.items()}
    assert (
        f"says {labels['clean']} for the clean image and {labels['adversarial']} for the attacked"
        in summary
    )
    assert (
        f"Behind the purifier it says {labels['purified']}" in summary and "(oblivious)" in summary
    )
    assert labels["adversarial"] != labels["clean"]
    assert np.abs(shown["adversarial"] - shown["clean"]).max() == pytest.approx(0.3, abs=1.01 / 255)
