"""An exported SavedModel in the clients that people have: TensorFlow alone, saved_model_cli,
Serving's REST format, TensorFlow Lite.
"""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.export import tflite as export_tflite
from madvae_tf.export.saved_model import export_purifier
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from tests import processes

CLIENTS = (Path(__file__).parents[1] / "docs" / "protect" / "serving.md").read_text(
    encoding="utf-8"
)
SHAPE = (32, 32, 3)
RNG = np.random.default_rng(4)
IMAGES = RNG.random((12, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """A purifier of colour images with a linear classifier, as the stage export writes it."""
    keras.utils.set_random_seed(2)
    folder = tmp_path_factory.mktemp("export") / "combined"
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    export_purifier(folder, DefenseVAE(4, image_shape=SHAPE), keras.Sequential(layers))
    return folder


@pytest.fixture(scope="module")
def expected(export):
    loaded = tf.saved_model.load(str(export))
    return loaded.signatures["classify"](images=tf.constant(IMAGES))["probabilities"].numpy()


def test_a_program_that_has_tensorflow_alone(export, expected, tmp_path):
    """This project is not imported; the call is inside a tf.function."""
    np.save(tmp_path / "images.npy", IMAGES)
    code = """
import sys
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])

@tf.function
def client(images):
    purified = loaded.signatures["purify"](images=images)["purified"]
    return loaded.signatures["classify"](images=images)["probabilities"], purified

probabilities, purified = client(tf.constant(np.load(sys.argv[2] + "/images.npy")))
assert not any(name.split(".")[0] == "madvae_tf" for name in sys.modules)
assert purified.shape == (12, 32, 32, 3)
np.save(sys.argv[2] + "/probabilities.npy", probabilities)
"""
    done = processes.run(["-c", code, export, tmp_path], cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), expected, atol=1e-6)


def test_saved_model_cli(export, expected, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    common = ["--dir", str(export), "--tag_set", "serve", "--signature_def", "classify"]

    def cli(*arguments):
        start = (
            "import sys; from tensorflow.python.tools.saved_model_cli import main; sys.exit(main())"
        )
        done = processes.run(["-c", start, *arguments])
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    shown = cli("show", *common)
    assert (
        "shape: (-1, 32, 32, 3)" in shown
        and "dtype: DT_FLOAT" in shown
        and "shape: (-1, 10)" in shown
    )
    cli("run", *common, "--inputs", f"images={tmp_path / 'images.npy'}", "--outdir", str(tmp_path))
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), expected, atol=1e-6)


def serve(folder, request):
    """What TensorFlow Serving's predict endpoint does with a body: row format ("instances") or
    column format ("inputs").
    """
    body = json.loads(request)
    signature = tf.saved_model.load(str(folder)).signatures[body["signature_name"]]
    row = "instances" in body
    values = body["instances" if row else "inputs"]
    if row and isinstance(values[0], dict):
        values = {name: [each[name] for each in values] for name in values[0]}
    (name, spec), *more = signature.structured_input_signature[1].items()
    assert not more
    given = values[name] if isinstance(values, dict) else values
    results = {
        key: value.numpy()
        for key, value in signature(**{name: tf.constant(given, spec.dtype)}).items()
    }
    # One named output is given without its name.
    (result,) = results.values()
    return json.dumps({"predictions" if row else "outputs": result.tolist()})


@pytest.mark.parametrize(
    ("signature", "values", "shape"),
    [
        ("classify", IMAGES, (12, 10)),
        ("purify", IMAGES, (12, *SHAPE)),
        ("classify_uint8", np.round(IMAGES * 255).astype(int), (12, 10)),
    ],
)
def test_the_bodies_of_the_page(export, expected, signature, values, shape):
    """Row and column format give the same; uint8 gives what float32 gives for the same pixels."""
    answers = []
    for body in (
        {"signature_name": signature, "instances": values.tolist()},
        {
            "signature_name": signature,
            "instances": [{"images": image} for image in values.tolist()],
        },
        {"signature_name": signature, "inputs": {"images": values.tolist()}},
    ):
        (answer,) = json.loads(serve(export, json.dumps(body))).values()
        answers.append(np.array(answer))
    for answer in answers:
        assert answer.shape == shape
        np.testing.assert_array_equal(answer, answers[0])
    if shape == (12, 10):
        np.testing.assert_allclose(
            answers[0], expected, atol=1e-6 if signature == "classify" else 0.02
        )


def test_grpc_with_the_messages_of_tensorflow_serving(export, expected):
    """The client of docs/protect/serving.md, over a real connection on the loopback address, to a
    service that is ours.
    """
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    from concurrent import futures

    import grpc
    from tensorflow_serving.apis import predict_pb2  # pyright: ignore[reportMissingImports]

    class Service(apis.PredictionServiceServicer):
        """What TensorFlow Serving's Predict does."""

        def Predict(self, request, context):
            loaded = tf.saved_model.load(str(export.parent / request.model_spec.name))
            given = {
                name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()
            }
            response = predict_pb2.PredictResponse(model_spec=request.model_spec)
            for name, value in loaded.signatures[request.model_spec.signature_name](
                **given
            ).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(1))
    apis.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    listing = next(
        code for code in re.findall(r"```python\n(.*?)```", CLIENTS, re.DOTALL) if "grpc" in code
    )
    try:
        found = {"images": IMAGES}
        exec(listing.replace("127.0.0.1:8500", f"127.0.0.1:{port}"), found)
    finally:
        server.stop(None)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("precision", "difference"), [("float32", 1e-4), ("float16", 5e-3), ("int8", 0.15)]
)
def test_tensorflow_lite(export, expected, precision, difference):
    """The file's answers beside the SavedModel's; int8 is a quarter of float32's size."""
    content = export_tflite.convert(export, precision, representative=IMAGES)
    got = export_tflite.interpreter(content)(IMAGES)
    assert got.shape == (12, 10) and np.abs(got - expected).max() < difference
    labels = expected.argmax(axis=1)
    found = export_tflite.compare(export, content, IMAGES, labels, batch_size=5)
    assert found.n == 12 and found.saved_model == 1.0
    assert found.converted == found.agreement == float((got.argmax(axis=1) == labels).mean())
    parameters = sum(
        np.prod(weight.shape)
        for weight in keras.saving.load_model(export / "purifier.keras").weights
    )
    assert found.megabytes * 1e6 / parameters == pytest.approx(
        {"float32": 4, "float16": 2, "int8": 1}[precision], rel=0.15
    )


def test_conversions_that_cannot_be(export, tmp_path):
    with pytest.raises(UserError, match="Unknown precision 'int4'"):
        export_tflite.convert(export, "int4")
    with pytest.raises(UserError, match="int8 needs representative images"):
        export_tflite.convert(export, "int8")
    with pytest.raises(UserError, match="Unknown signature 'clasify'. Did you mean 'classify'"):
        export_tflite.convert(export, signature="clasify")
    with pytest.raises(UserError, match="Cannot read the SavedModel"):
        export_tflite.convert(tmp_path)
    with pytest.raises(UserError, match=r"expected \(n, 32, 32, 3\)"):
        export_tflite.convert(export, "int8", representative=IMAGES[:, :28, :28, :1])
