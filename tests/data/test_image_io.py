"""Image files: which are meant, what becomes of sizes, colours and transparency, and what is never
overwritten.
"""

import numpy as np
import pytest
from PIL import Image

from madvae_tf.data import image_io, pictures
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(0)


def save(path, array, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **more)
    return path


def read(path):
    return image_io.read(path, "name.png")


def test_a_28_x_28_grey_png_is_taken_as_it_is(tmp_path):
    array = RNG.integers(0, 256, (28, 28), dtype=np.uint8)
    for stored in (array, np.stack([array] * 3, axis=-1)):
        picture = read(save(tmp_path / "a.png", stored))
        np.testing.assert_array_equal(picture.pixels[..., 0], array)
        assert picture.notes == () and picture.pixels.dtype == np.uint8


def test_twice_the_size_is_averaged_with_the_weights_of_a_triangle(tmp_path):
    """Antialiased bilinear: taps at 0.5 and 1.5 pixels on either side weigh 3/8 and 1/8, in both
    directions.
    """
    array = RNG.integers(0, 256, (56, 56), dtype=np.uint8)
    picture = read(save(tmp_path / "a.png", array))
    taps = np.array([1, 3, 3, 1]) / 8
    inner = np.array(
        [
            [
                taps @ array[2 * r - 1 : 2 * r + 3, 2 * c - 1 : 2 * c + 3] @ taps
                for c in range(1, 27)
            ]
            for r in range(1, 27)
        ]
    )
    assert np.abs(picture.pixels[1:27, 1:27, 0] - inner).max() <= 1.01
    assert picture.notes == ("56 x 56 to 28 x 28",)


def test_colours_transparency_and_depth(tmp_path):
    red = np.zeros((28, 28, 3), np.uint8)
    red[..., 0] = 200
    picture = read(save(tmp_path / "red.png", red))
    # ITU-R 601-2: 0.299 of red.
    assert picture.notes == ("colours to grey",) and np.unique(picture.pixels) == [
        round(0.299 * 200)
    ]
    clear = np.zeros((28, 28, 4), np.uint8)
    clear[:14, :, 3] = 255
    picture = read(save(tmp_path / "clear.png", clear))
    assert picture.notes == ("transparent parts on white",)
    assert (picture.pixels[:14] == 0).all() and (picture.pixels[14:] == 255).all()
    # A light stroke could not be seen on white.
    stroke = np.zeros((28, 28, 4), np.uint8)
    stroke[:14] = (250, 250, 250, 255)
    picture = read(save(tmp_path / "stroke.png", stroke))
    assert picture.notes == ("transparent parts on black",)
    assert (picture.pixels[:14] == 250).all() and (picture.pixels[14:] == 0).all()
    levels = (np.arange(784) % 256).reshape(28, 28)
    deep = (257 * levels + 100 * (levels < 255)).astype(np.uint16)  # 100/257 rounds down
    picture = read(save(tmp_path / "deep.png", deep))
    assert picture.notes == ("16 bits to 8",)
    np.testing.assert_array_equal(picture.pixels[..., 0], levels)


def test_a_jpeg_is_turned_as_its_camera_says(tmp_path):
    array = np.zeros((20, 40), np.uint8)
    array[:, :20] = 255  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise: the left half becomes the top
    picture = read(save(tmp_path / "a.jpg", array, exif=exif))
    assert picture.pixels[:10].min() > 240 and picture.pixels[18:].max() < 15
    assert picture.notes == ("20 x 40 to 28 x 28", "its proportions changed")


def test_files_folders_and_patterns(tmp_path):
    array = np.zeros((28, 28), np.uint8)
    for name in ("b.PNG", "deep/a.jpeg", "deep/a.png", "c.jpg"):
        save(tmp_path / "in" / name, array, format="JPEG" if "j" in name else "PNG")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    folder = tmp_path / "in"
    found = image_io.find([str(folder)])
    assert {(str(path.relative_to(folder)), name) for path, name in found} == {
        ("b.PNG", "b.png"),
        ("c.jpg", "c.png"),
        ("deep/a.jpeg", "deep/a.png"),
        ("deep/a.png", "deep/a.png"),
    }
    assert [name for _, name in image_io.find([f"{folder}/**/*.png"])] == ["a.png"]
    # One that is named twice is meant once.
    assert len(image_io.find([f"{folder}/c.jpg", f"{folder}/*.jpg"])) == 1
    with pytest.raises(UserError, match=r"a\.jpeg and .*a\.png would both be written as"):
        image_io.destinations(found, str(tmp_path / "out"), False)


def test_nothing_is_overwritten_by_mistake(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((28, 28), np.uint8))
    picture = (path, "a.png")
    with pytest.raises(UserError, match="one of the images given"):
        image_io.destinations([picture], str(tmp_path), True)
    out = str(tmp_path / "out")
    (target,) = image_io.destinations([picture], out, False)
    pixels = RNG.integers(0, 256, (28, 28, 1), dtype=np.uint8)
    image_io.write(pixels, target)
    np.testing.assert_array_equal(np.asarray(Image.open(target)), pixels[..., 0])
    with pytest.raises(UserError, match="there already.*--overwrite"):
        image_io.destinations([picture], out, False)
    assert image_io.destinations([picture], out, True) == [target]
    assert [each.name for each in target.parent.iterdir()] == ["a.png"]
    with pytest.raises(UserError, match="Cannot write"):
        image_io.write(pixels, path / "below.png")


def test_what_is_no_image_is_refused(tmp_path):
    whole = save(tmp_path / "a.png", RNG.integers(0, 256, (28, 28), dtype=np.uint8)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:300])
    (tmp_path / "text.png").write_text("no image")
    save(tmp_path / "a.gif", np.zeros((28, 28), np.uint8)).rename(tmp_path / "gif.png")
    for name in ("cut.png", "text.png", "gif.png", "none.png"):
        with pytest.raises(UserError, match=f"Cannot read image .*{name}") as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([], "No images given"),
        ([str(tmp_path / "empty")], "No PNG or JPEG file in folder"),
        ([str(tmp_path / "none*.png")], "No such image"),
    ):
        with pytest.raises(UserError, match=message):
            image_io.find(arguments)


def test_bytes_are_rounded():
    assert image_io.to_bytes(np.array([0, 0.4 / 255, 0.6 / 255, 1])).tolist() == [0, 0, 1, 255]


def test_a_picture_in_colours(tmp_path):
    """Of three channels: the colours stay; a grey one has three equal channels; no note tells of
    colours.
    """
    pixels = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    colour = image_io.read(tmp_path / "colour.png", "c.png", (32, 32, 3))
    np.testing.assert_array_equal(colour.pixels, pixels)
    assert colour.notes == ()
    grey = image_io.read(tmp_path / "grey.png", "g.png", (32, 32, 3))
    np.testing.assert_array_equal(grey.pixels, np.repeat(pixels[..., :1], 3, axis=2))
    assert pictures.has_colours(tmp_path / "colour.png") and not pictures.has_colours(
        tmp_path / "grey.png"
    )
    image_io.write(pixels, tmp_path / "out" / "again.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "again.png")), pixels)


def test_the_size_is_as_it_is_looked_at(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright
    Image.fromarray(np.zeros((28, 40), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert pictures.size_of(tmp_path / "a.jpg") == (28, 40)
    assert image_io.read(tmp_path / "a.jpg", "a", (40, 40, 1)).notes[0] == "28 x 40 to 40 x 40"
    (tmp_path / "b.png").write_text("no picture")
    for function in (pictures.size_of, pictures.has_colours):
        with pytest.raises(UserError, match="Cannot read image .*b.png"):
            function(tmp_path / "b.png")


def test_what_is_hidden_is_skipped_unless_it_is_named(tmp_path, caplog):
    array = np.zeros((28, 28), np.uint8)
    names = (
        "a.png",
        "b/c.png",
        ".ipynb_checkpoints/a-checkpoint.png",
        "b/._c.png",
        "__MACOSX/d.png",
        ".e.png",
    )
    for name in names:
        save(tmp_path / name, array)
    found = [str(path.relative_to(tmp_path)) for path, _ in image_io.find([str(tmp_path)])]
    assert found == ["a.png", "b/c.png"]
    assert [path.name for path, _ in image_io.find([f"{tmp_path}/**/*.png"])] == ["a.png", "c.png"]
    # What is named is meant, and so is what lies in a hidden folder that is named.
    for argument, name in (
        (".e.png", ".e.png"),
        (".ipynb_checkpoints", "a-checkpoint.png"),
        ("__MACOSX/*.png", "d.png"),
    ):
        assert [path.name for path, _ in image_io.find([str(tmp_path / argument)])] == [name]


def test_a_light_picture_has_a_note(tmp_path):
    light, dark = (
        save(tmp_path / f"{value}.png", np.full((28, 28), value, np.uint8)) for value in (200, 120)
    )
    assert (
        read(light).notes == ("mostly light; MNIST's digits are light on dark",)
        and read(dark).notes == ()
    )
    ink = np.zeros((28, 28, 4), np.uint8)
    ink[10:18, 12:16] = (0, 0, 0, 255)
    notes = read(save(tmp_path / "ink.png", ink)).notes
    assert notes[0] == "transparent parts on white" and notes[-1].startswith("mostly light")


def test_rounding_towards_the_original_keeps_every_budget():
    original = RNG.integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
    floats = original.astype(np.float32) / np.float32(255)
    for epsilon in (0.3, 0.1, 0.01, 0.003, 2 / 255):
        signs = RNG.choice([-1, 1], floats.shape)
        attacked = np.clip(floats + np.float32(epsilon) * signs, 0, 1).astype(np.float32)
        written = image_io.to_bytes_towards(attacked, original)
        steps = np.abs(written.astype(int) - original)
        room = np.where(signs > 0, 255 - original.astype(int), original)
        np.testing.assert_array_equal(steps, np.minimum(int(epsilon * 255 + 1e-9), room))
    np.testing.assert_array_equal(image_io.to_bytes_towards(floats, original), original)
