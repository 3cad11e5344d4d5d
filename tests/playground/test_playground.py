"""The playground: its logic on small exports against values by hand, and its page in a real browser where gradio is installed."""

import contextlib
import importlib.util
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parents[1]))
import chromium

from madvae_tf.errors import UserError
from madvae_tf.export import export_classifier, export_purifier
from madvae_tf.models.foreign import adapt
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.playground.session import LIMITS, Session, from_drawing, sample_images

WEIGHTS = 0.3 * np.random.default_rng(0).standard_normal((784, 10)).astype(np.float32)
IMAGE = np.random.default_rng(2).uniform(0.2, 0.8, (28, 28, 1)).astype(np.float32)

gradio_needed = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="gradio is not installed (extra playground)"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(workdir with exports, classifier, purifier)."""
    folder = tmp_path_factory.mktemp("world")
    classifier = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    classifier.set_weights([WEIGHTS, np.zeros(10, np.float32)])
    keras.utils.set_random_seed(0)
    purifier = DefenseVAE(4)
    purifier.set_weights([3 * weight if weight.ndim > 1 else weight for weight in purifier.get_weights()])
    export_classifier(folder / "export" / "classifier", classifier)
    export_purifier(folder / "export" / "combined", purifier, classifier)
    return folder, classifier, purifier


@pytest.fixture(scope="module")
def session(world):
    return Session(world[0] / "export")


def softmax(image):
    """Of the linear classifier, by hand."""
    logits = image.reshape(784).astype(np.float64) @ WEIGHTS
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


def test_oblivious_attack_follows_the_classifier_alone(session, world):
    outcome = session.run(IMAGE, "fgsm", 0.1, "oblivious", "combined")
    shares = softmax(IMAGE)
    assert outcome.clean.label == shares.argmax()
    np.testing.assert_allclose(outcome.clean.probabilities, shares, rtol=1e-3, atol=1e-6)
    # The gradient of the cross-entropy of a linear classifier: W (p - onehot).
    gradient = WEIGHTS @ (shares - np.eye(10)[shares.argmax()])
    expected = np.clip(IMAGE + 0.1 * np.sign(gradient).reshape(28, 28, 1), 0, 1)
    np.testing.assert_allclose(outcome.adversarial.image, expected, atol=1e-6)
    np.testing.assert_allclose(outcome.adversarial.probabilities, softmax(expected), rtol=1e-3, atol=1e-6)
    assert outcome.linf == pytest.approx(0.1, abs=1e-6)
    assert outcome.l2 == pytest.approx(np.linalg.norm(expected - IMAGE), rel=1e-5)
    purified = world[2](expected[None]).numpy()[0]
    np.testing.assert_allclose(outcome.purified.image, purified, atol=1e-5)
    np.testing.assert_allclose(outcome.purified.probabilities, softmax(purified), rtol=1e-3, atol=1e-5)
    assert "(oblivious)" in outcome.words() and f"says {outcome.purified.label}" in outcome.words()


def test_end_to_end_attack_goes_through_the_purifier(session, world):
    _, classifier, purifier = world
    outcome = session.run(IMAGE, "fgsm", 0.1, "end_to_end", "combined")
    x = tf.constant(IMAGE[None])
    label = np.asarray(classifier(purifier(x))).argmax(axis=1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = tf.convert_to_tensor(classifier(purifier(x)))
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
    gradient = tape.gradient(loss, x).numpy()[0]
    sure = np.abs(gradient) > 1e-6
    expected = np.clip(IMAGE + 0.1 * np.sign(gradient), 0, 1)
    assert sure.mean() > 0.5
    np.testing.assert_allclose(outcome.adversarial.image[sure], expected[sure], atol=1e-6)
    other = session.run(IMAGE, "fgsm", 0.1, "oblivious", "combined")
    assert np.abs(other.adversarial.image - outcome.adversarial.image).max() == pytest.approx(0.2, abs=1e-5)
    assert "(end to end)" in outcome.words()


@pytest.mark.parametrize("attack", ["rand_fgsm", "pgd", "mi_fgsm"])
@pytest.mark.parametrize("epsilon", [0.02, 0.2])
def test_every_attack_keeps_its_budget_and_its_seed(session, attack, epsilon):
    one, two = (session.run(IMAGE, attack, epsilon, "oblivious", "combined") for _ in range(2))
    assert 0.5 * epsilon < one.linf <= epsilon + 1e-6
    np.testing.assert_array_equal(one.adversarial.image, two.adversarial.image)


def test_a_drawing_is_laid_out_as_mnist_lays_out_its_digits():
    ink = np.zeros((280, 280))
    ink[20:220, 40:60] = 1.0
    ink[200:220, 40:120] = 1.0
    image = from_drawing(ink)[..., 0]
    rows, columns = np.nonzero(image > 0.3)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (20, 8)
    centre = [(image * place).sum() / image.sum() for place in np.mgrid[0:28, 0:28]]
    np.testing.assert_allclose(centre, 13.5, atol=0.51)
    # The stroke is two pixels wide, of full strength.
    assert image.max() > 0.95 and image.shape == (28, 28)
    assert image[rows.min() + 5 : rows.min() + 10].sum(axis=1) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": "fgms"}, "Unknown attack 'fgms'. Did you mean 'fgsm'"),
        ({"threat_model": "white"}, "Unknown threat model 'white'"),
        ({"variant": "cls"}, "Unknown variant 'cls'.*combined"),
        ({"epsilon": 1.5}, "epsilon: received 1.5"),
        ({"image": IMAGE * 255}, "expected \\[0, 1\\]"),
    ],
)
def test_what_cannot_be_attacked_is_refused(session, change, message):
    good = {
        "image": IMAGE,
        "attack": "fgsm",
        "epsilon": 0.1,
        "threat_model": "oblivious",
        "variant": "combined",
    }
    with pytest.raises(UserError, match=message):
        session.run(**good | change)


def test_empty_drawing_missing_exports_and_missing_test_images(tmp_path):
    with pytest.raises(UserError, match="Nothing is drawn"):
        from_drawing(np.zeros((280, 280)))
    with pytest.raises(UserError, match="No exported classifier and purifier .* --stage=export"):
        Session(tmp_path)
    assert sample_images(tmp_path) == []


def test_exports_for_other_images_are_refused_before_a_page_is_shown(session, tmp_path):
    session.check()
    shape = (32, 32, 3)
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(10)]
    export_classifier(
        tmp_path / "classifier", adapt(keras.Sequential(layers), np.zeros((2, *shape), np.float32))
    )
    # Of a variant no more than its name is looked at.
    (tmp_path / "combined").mkdir()
    (tmp_path / "combined" / "saved_model.pb").touch()
    with pytest.raises(UserError, match=r"shape \(32, 32, 3\).*\(28, 28, 1\).*madvae-purify"):
        Session(tmp_path).check()


def test_without_gradio_the_command_says_how_to_get_it(world):
    code = (
        "import sys; sys.modules['gradio'] = None; sys.argv = ['playground', sys.argv[1]]\n"
        "import runpy; runpy.run_module('madvae_tf.playground', run_name='__main__')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, f"--workdir={world[0]}"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert process.stderr.startswith("error: The playground needs the package gradio: pip install")


@gradio_needed
def test_a_port_in_use_is_one_line(world):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "madvae_tf.playground", f"--workdir={world[0]}", f"--port={port}"]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith(f"error: --port={port} cannot be had on 127.0.0.1")
    assert "Traceback" not in process.stderr


# The bar and the stem of a 7, as shares of the canvas.
SEVEN = [(0.3, 0.25), (0.4, 0.25), (0.5, 0.25), (0.6, 0.25), (0.7, 0.25)]
SEVEN += [(0.65, 0.36), (0.6, 0.47), (0.55, 0.58), (0.5, 0.69), (0.45, 0.8)]
# The sheet lies in the middle of a wider canvas.
BOX = (
    "(() => {const b = document.querySelector('#sketch canvas').getBoundingClientRect();"
    "const s = Math.min(b.width, b.height, 280); return [b.x + (b.width - s) / 2, b.y + (b.height - s) / 2, s]})()"
)
# The pixel in the middle of each of the picture's 28 x 28 squares.
PIXELS = (
    "(() => {{const i = document.querySelector('#picture-{0} img'), c = document.createElement('canvas');"
    "c.width = i.naturalWidth; c.height = i.naturalHeight; const d = c.getContext('2d'); d.drawImage(i, 0, 0);"
    "const s = c.width / 28, p = d.getImageData(0, 0, c.width, c.height).data;"
    "return Array.from({{length: 784}}, (_, k) =>"
    " p[4 * (Math.floor((Math.floor(k / 28) + 0.5) * s) * c.width + Math.floor((k % 28 + 0.5) * s))])}})()"
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
    """What the page shows is the digit that was drawn, and what it says is what the models make of the pictures it shows."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    # A shell's background job ignores Ctrl-C, and so would what it starts, this server included.
    awake = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = (
        f"{awake}import runpy; runpy.run_module('madvae_tf.playground', run_name='__main__', alter_sys=True)"
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
                "document.querySelector('#sketch button[aria-label=Brush]') && document.querySelector('#go')",
            )
            assert LIMITS in page.evaluate("document.body.innerText")
            said = "document.querySelector('#said')?.innerText.includes('The classifier says')"
            # A sketch that is not ready yet loses the click or the stroke, and nothing on the page says when it is.
            for _ in range(10):
                if "select the draw tool" in page.evaluate("document.querySelector('#sketch').innerText"):
                    page.evaluate("document.querySelector('#sketch button[aria-label=Brush]').click()")
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
            words = page.evaluate("document.querySelector('#said').innerText")
            assert all(
                request.startswith(("http://127.0.0.1", "http://localhost")) for request in page.requests
            )
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 130
    finally:
        server.kill()
        server.wait()
    assert "Traceback" not in said_file.read_text() and "The playground ends." in said_file.read_text()
    ink = shown["clean"][..., 0] > 0.3
    rows, lengths = np.flatnonzero(ink.any(axis=1)), ink.sum(axis=1)
    assert len(rows) == 20 and lengths[rows[0] + 1] >= 10 and lengths[rows[-1] - 1] <= 5
    # The stem leans to the left on its way down.
    assert np.flatnonzero(ink[rows[-2]]).mean() < np.flatnonzero(ink[rows[8]]).mean() - 2
    labels = {name: softmax(image).argmax() for name, image in shown.items()}
    assert f"says {labels['clean']} for the clean image and {labels['adversarial']} for the attacked" in words
    assert f"Behind the purifier it says {labels['purified']}" in words and "(oblivious)" in words
    assert labels["adversarial"] != labels["clean"]
    assert np.abs(shown["adversarial"] - shown["clean"]).max() == pytest.approx(0.3, abs=1.01 / 255)
