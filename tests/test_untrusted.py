"""A stranger's picture is opened as RGB or refused with a reason, whatever its bytes are."""

import io
import random
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from course.api_error import ApiError
from course.assess.parcel import Parcel
from course.serve import images
from helpers.pictures import Unreadable, as_rgb, open_untrusted
from helpers.search_gallery import picture_of
from helpers.submission import Record, provenance_of

pytestmark = pytest.mark.quick


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, kind, *chunks):
    """A PNG with 8 bits and these chunks; with kind 3 a number in a palette stands for each pixel."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


PIXELS = chunk(b"IDAT", zlib.compress(bytes(65 * 64)))
BOMB = png(30_000, 30_000, 0, PIXELS)


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_a_picture_comes_as_rgb_with_its_texts():
    texts = PngInfo()
    texts.add_text("title", "a cat")
    image = open_untrusted(saved(Image.new("RGBA", (3, 2), (255, 0, 0, 9)), "PNG", pnginfo=texts))
    assert (image.mode, image.size, image.getpixel((0, 0)), image.info["title"]) == (
        "RGB",
        (3, 2),
        (255, 246, 246),
        "a cat",
    )
    for form in ("PNG", "JPEG", "WEBP", "GIF"):
        assert open_untrusted(saved(Image.new("RGB", (3, 2)), form)).size == (3, 2)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_large_picture_is_reduced_where_that_is_asked_for(form):
    content = saved(Image.new("RGB", (600, 300), "navy"), form)
    assert open_untrusted(content).size == open_untrusted(content, side=600).size == (600, 300)
    assert open_untrusted(content, side=100).size == (100, 50)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a picture in one of the formats PNG, JPEG, WEBP, GIF"),
        (saved(Image.new("RGB", (3, 2)), "BMP"), "is not a picture in one of the formats"),
        (saved(Image.effect_noise((64, 64), 9), "PNG")[:200], r"is damaged \(OSError\)"),
        (BOMB, "has more than 32,000,000 pixels"),
        (png(6_000, 6_000, 0, PIXELS), "has more than 32,000,000 pixels"),
    ],
)
def test_what_is_no_picture_gets_a_reason(content, reason):
    with pytest.raises(Unreadable, match=reason):
        open_untrusted(content)


@pytest.mark.parametrize("content", [saved(Image.effect_noise((64, 64), 9), "PNG")[:200], BOMB, b"no picture"])
def test_nobody_who_opens_one_stumbles(content, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    record = Record(original_description="a cat", prompts=["a cat"], image_paths=["a.png"])
    assert Parcel([record], files={"a.png": content}).opened().pictures[0][0].problem
    assert provenance_of(path) is None
    with pytest.raises(ApiError):
        images._open(content, "picture")
    assert picture_of("a cat", path.as_uri()) is None


def test_a_photo_stands_upright_and_fits_afterwards():
    photo = Image.new("RGB", (200, 100), "navy")
    photo.paste("yellow", (0, 0, 100, 100))
    exif = photo.getexif()
    exif[0x0112] = 6  # turn me by 90 degrees clockwise
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", exif=exif, quality=95)
    seen = open_untrusted(buffer.getvalue())
    assert seen.size == (100, 200) and seen.getpixel((50, 20))[2] < 60 < seen.getpixel((50, 180))[2]
    assert open_untrusted(buffer.getvalue(), side=50).size == (25, 50)


@pytest.mark.parametrize(
    "clear",
    [
        Image.new("RGBA", (4, 4), (0, 0, 0, 0)),
        Image.new("LA", (4, 4), (0, 0)),
        Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert("PA"),
    ],
    ids=lambda image: image.mode,
)
def test_what_is_clear_lies_on_white(clear):
    assert as_rgb(clear).getpixel((0, 0)) == (255, 255, 255)
    half = as_rgb(Image.new("RGBA", (1, 1), (0, 0, 0, 128))).getpixel((0, 0))
    assert half == (127, 127, 127)


def test_a_palette_with_a_clear_colour_lies_on_white():
    drawn = Image.new("P", (4, 4))
    assert as_rgb(drawn).getpixel((0, 0)) == (0, 0, 0)
    assert open_untrusted(saved(drawn, "PNG", transparency=0)).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_become_eight_and_texts_stay():
    grey = Image.fromarray(np.array([[0, 32896, 65535]], np.uint16))
    assert [as_rgb(grey).getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]
    image = Image.new("RGBA", (2, 2))
    image.info["prompt"] = "a cat"
    assert as_rgb(image).info["prompt"] == "a cat"


def test_no_damage_gets_out():
    rng = random.Random(3)
    image = Image.effect_noise((40, 30), 50).convert("RGB")
    files = [saved(image, form) for form in ("PNG", "JPEG", "WEBP", "GIF")]
    files.append(saved(image.convert("P"), "PNG", transparency=3))
    for _ in range(1_500):
        content = bytearray(rng.choice(files))
        for _ in range(rng.choice((1, 2, 8))):
            content[min(rng.randrange(len(content)), rng.randrange(1, 400))] = rng.randrange(256)
        with suppress(Unreadable):
            assert open_untrusted(bytes(content)).mode == "RGB"
