"""The certificate: signed words and pixels, and `course verify`, which notices every change."""

import base64
import io
import json
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from course.assess import certificate
from course.assess.certificate import Signer, draw, verify
from course.cli import app
from helpers.errors import PlainError
from helpers.submission import pixels_sha256

WORDS = {"course": "Picture This", "score": 93.8, "date": date(2026, 11, 22), "submission": "0f" * 16}


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path / "data" / "key.pem")


@pytest.fixture
def files(signer, tmp_path):
    """A certificate as PNG and as JSON."""
    made = signer.certificate(student="Åsa Ω Öberg", **WORDS)
    png, text = tmp_path / "certificate.png", tmp_path / "certificate.json"
    png.write_bytes(base64.b64decode(made["png"]))
    text.write_text(json.dumps(made["json"], indent=2), encoding="utf-8")
    return png, text


def test_both_files_are_genuine(signer, files):
    for path in files:
        found = verify(path, signer.public_key)
        assert (found.student, found.score, found.date) == ("Åsa Ω Öberg", 93.8, "2026-11-22")


def test_the_key_is_made_once_and_for_its_owner(signer):
    first = signer.public_key
    assert Signer(signer.path).public_key == first
    assert signer.path.stat().st_mode & 0o077 == 0
    assert [path.name for path in signer.path.parent.iterdir()] == ["key.pem"]


def test_a_key_that_another_runner_made_meanwhile_is_taken(signer, monkeypatch):
    other = Signer(signer.path)
    monkeypatch.setattr(type(signer.path), "exists", lambda path: False)  # both see no key
    assert signer.public_key == other.public_key


def test_threads_that_make_the_key_at_once_have_the_same(tmp_path):
    for i in range(10):
        path, start = tmp_path / str(i) / "key.pem", threading.Barrier(6)

        def told(_, path=path, start=start):
            signer = Signer(path)
            start.wait()
            signer._make()  # as all do who see no key
            return signer.public_key

        with ThreadPoolExecutor(6) as pool:
            assert len(set(pool.map(told, range(6)))) == 1
        assert [each.name for each in path.parent.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("content", [b"no key", b""])
def test_an_unusable_key_gets_a_sentence(signer, content):
    signer.path.parent.mkdir()
    signer.path.write_bytes(content)
    with pytest.raises(PlainError, match="can't be used"):
        _ = signer.public_key


def test_a_key_of_another_kind_gets_a_sentence(signer):
    signer.path.parent.mkdir()
    signer.path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(PlainError, match="no Ed25519 key"):
        _ = signer.public_key


@pytest.mark.parametrize(
    "change",
    [{"student": "Eve"}, {"score": 100.0}, {"date": "2026-11-23"}, {"course": "x"}, {"picture_sha256": "0" * 64}],
)
def test_a_changed_word_is_noticed(signer, files, change):
    signed = json.loads(files[1].read_text(encoding="utf-8"))
    signed["certificate"] |= change
    files[1].write_text(json.dumps(signed))
    with pytest.raises(PlainError, match="words were changed after it was signed"):
        verify(files[1], signer.public_key)


def test_a_changed_pixel_is_noticed(signer, files):
    with Image.open(files[0]) as image:
        chunks = PngInfo()
        chunks.add_text("certificate", image.info["certificate"])
        ImageDraw.Draw(image).point((500, 280), "red")
        image.save(files[0], pnginfo=chunks)
    with pytest.raises(PlainError, match="picture was changed after it was signed"):
        verify(files[0], signer.public_key)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def chunks(png):
    """The names and contents of a PNG's chunks."""
    start = 8
    while start < len(png):
        (size,) = struct.unpack_from(">I", png, start)
        yield png[start + 4 : start + 8], png[start + 8 : start + 8 + size]
        start += 12 + size


def an_animation(parts, forged):
    """The signed picture is no frame: whoever plays animations shows the forged one."""
    control = struct.pack(">IIIIIHHBB", 0, *forged.size, 0, 0, 1, 1, 0, 0)
    ((_, pixels),) = ((name, content) for name, content in chunks(saved(forged)) if name == b"IDAT")
    return [
        parts[0],
        (b"acTL", struct.pack(">II", 1, 0)),
        *parts[1:-1],
        (b"fcTL", control),
        (b"fdAT", struct.pack(">I", 1) + pixels),
        parts[-1],
    ]


def ink_that_is_transparent(parts, forged):
    return [parts[0], (b"tRNS", struct.pack(">HHH", 0x11, 0x11, 0x11)), *parts[1:]]


def a_mask_that_hides(parts, forged):
    signed = Image.open(io.BytesIO(PNG + b"".join(chunk(*part) for part in parts)))
    signed.load()
    texts = [part for part in parts if part[0] in (b"tEXt", b"iTXt")]
    signed.putalpha(forged.convert("L"))
    masked = list(chunks(saved(signed)))
    return [masked[0], *texts, *masked[1:]]


def something_after_the_end(parts, forged):
    return [*parts, (b"fdAT", b"")]


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("forge", [an_animation, ink_that_is_transparent, a_mask_that_hides, something_after_the_end])
def test_a_picture_that_shows_other_pixels_than_the_signed_is_noticed(signer, files, forge):
    parts = list(chunks(files[0].read_bytes()))
    forged = draw(certificate.Certificate(**{**WORDS, "date": "2026-11-22"}, student="Eve"), signer.public_key)
    files[0].write_bytes(PNG + b"".join(chunk(*part) for part in parts))
    assert verify(files[0], signer.public_key)  # as it was
    files[0].write_bytes(PNG + b"".join(chunk(*part) for part in forge(parts, forged)))
    with Image.open(files[0]) as image:  # its first picture is the signed one
        assert pixels_sha256(image) == json.loads(image.info["certificate"])["certificate"]["picture_sha256"]
    with pytest.raises(PlainError, match=r"is no certificate .* picture is not as the runner writes it"):
        verify(files[0], signer.public_key)


def test_another_runners_certificate_is_told(signer, files, tmp_path):
    other = Signer(tmp_path / "other.pem")
    with pytest.raises(PlainError, match="signed with another key"):
        verify(files[1], other.public_key)
    signed = json.loads(files[1].read_text(encoding="utf-8"))
    files[1].write_text(json.dumps({**signed, "public_key": other.public_key}))
    with pytest.raises(PlainError, match="words were changed"):
        verify(files[1], other.public_key)


@pytest.mark.parametrize("signature", ["", "no base64", base64.b64encode(bytes(64)).decode(), "A" * 2_000])
def test_a_made_up_signature_is_noticed(signer, files, signature):
    signed = json.loads(files[1].read_text(encoding="utf-8"))
    files[1].write_text(json.dumps({**signed, "signature": signature}))
    with pytest.raises(PlainError, match="words were changed"):
        verify(files[1], signer.public_key)


def saved(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def picture_file(size):
    return saved(Image.new("RGB", size))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[" * 100_000, b"\xff", b"\x89PNG\r\n\x1a\n", picture_file((5, 5)), picture_file(certificate.SIZE)],
)
def test_what_is_no_certificate_gets_a_sentence(signer, tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(PlainError, match="is no certificate of this course"):
        verify(path, signer.public_key)


def test_a_missing_file_and_a_wrong_key_get_sentences(signer, files, tmp_path):
    with pytest.raises(PlainError, match="can't be read"):
        verify(tmp_path / "nowhere.png", signer.public_key)
    for key in ("", "ä", "AAAA"):
        with pytest.raises(PlainError, match="no Ed25519 public key"):
            verify(files[1], key)


@pytest.mark.parametrize("student", ["", "A" * 200, "W" * 200, "line\nbreak \x00\u202e", "名前"])
def test_any_name_can_be_drawn(signer, tmp_path, student):
    path = tmp_path / "c.png"
    path.write_bytes(base64.b64decode(signer.certificate(student=student, **WORDS)["png"]))
    assert verify(path, signer.public_key).student == student


def test_the_name_stands_in_the_picture(signer):
    one, other = (
        draw(certificate.Certificate(**{**WORDS, "date": "2026-11-22"}, student=name), signer.public_key)
        for name in ("Ada", "Eve")
    )
    assert one.tobytes() != other.tobytes()


def test_the_command_tells_genuine_from_changed(signer, files):
    good = CliRunner().invoke(app, ["verify", str(files[0]), "--key", signer.public_key])
    assert good.exit_code == 0
    assert "Genuine: Åsa Ω Öberg passed Picture This on 2026-11-22." in good.output
    files[1].write_text(files[1].read_text(encoding="utf-8").replace("93.8", "99.8"), encoding="utf-8")
    changed = CliRunner().invoke(app, ["verify", str(files[1]), "--key", signer.public_key])
    assert changed.exit_code == 1 and "is not genuine" in changed.output
