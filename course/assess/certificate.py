"""The certificate: a picture and a JSON that say the same, signed with Ed25519 (RFC 8032).

The signature is over the JSON's words in a canonical form (keys in order, no spaces, ASCII), and among these words is
the hash of the picture's pixels; so no word and no pixel can be changed unnoticed. The PNG carries the JSON in a text
chunk: either file alone can be verified.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
import re
import struct
import tempfile
from contextlib import suppress
from datetime import date as Date
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, ValidationError

from helpers.errors import PlainError
from helpers.pictures import open_untrusted
from helpers.submission import pixels_sha256

__all__ = ["Certificate", "Signed", "Signer", "verify"]

CHUNK = "certificate"
SIZE = (1000, 700)
MAX_BYTES = 5_000_000

#: How the PNG begins: its size, 8 bits, RGB, and so no palette and nothing that is transparent.
HEAD = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", *SIZE, 8, 2, 0, 0, 0)
#: Its chunks. Others could show another picture than the one whose pixels are signed: a frame to follow, a colour for paper.
CHUNKS = re.compile(b"IHDR(tEXt|iTXt)(IDAT)+IEND")


class Certificate(BaseModel):
    """What is certified: who passed which course, with how many points of 100, when, by which submission."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    student: str
    course: str
    score: float
    date: str
    submission: str
    picture_sha256: str = ""

    def canonical(self) -> bytes:
        """The bytes that are signed."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":")).encode("ascii")


class Signed(BaseModel):
    """A certificate with its signature and the public key that it can be verified with, both in base64."""

    model_config = ConfigDict(strict=True, extra="forbid")

    certificate: Certificate
    signature: str
    public_key: str


def home() -> Path:
    """The folder of the user's data in which a runner keeps what is its own."""
    return user_data_path("picture-this")


class Signer:
    """Signs with the private key in ``path`` (PEM), which is made when it is first needed, readable by its owner only."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def at_home(cls) -> Signer:
        """The signer of this computer's user."""
        return cls(home() / "certificate-key.pem")

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        try:
            if not self.path.exists():
                self._make()
            key = serialization.load_pem_private_key(self.path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise PlainError(f"The key that signs certificates, {self.path}, can't be used ({error}).") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise PlainError(f"The key that signs certificates, {self.path}, is no Ed25519 key.")
        return key

    def _make(self) -> None:
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(dir=self.path.parent)  # its owner's only
        try:
            with open(handle, "wb") as file:
                file.write(pem)
            with suppress(FileExistsError):
                os.link(new, self.path)  # whole or not at all, and the first of two runners, or threads, wins
        finally:
            os.unlink(new)

    @property
    def public_key(self) -> str:
        """The public key in base64, to be told to whoever verifies."""
        raw = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def certificate(self, *, student: str, course: str, score: float, date: Date, submission: str) -> dict[str, Any]:
        """The certificate as ``{"json": the signed certificate, "png": its picture in base64}``."""
        plain = Certificate(student=student, course=course, score=score, date=str(date), submission=submission)
        picture = draw(plain, self.public_key)
        words = plain.model_copy(update={"picture_sha256": pixels_sha256(picture)})
        signature = base64.b64encode(self._key.sign(words.canonical())).decode()
        signed = Signed(certificate=words, signature=signature, public_key=self.public_key)
        chunks = PngInfo()
        chunks.add_text(CHUNK, signed.model_dump_json())
        file = io.BytesIO()
        picture.save(file, "PNG", pnginfo=chunks)
        return {"json": signed.model_dump(), "png": base64.b64encode(file.getvalue()).decode()}


# -- the picture


def draw(certificate: Certificate, public_key: str) -> Image.Image:
    """The certificate to be hung on a wall: RGB, 1000×700 pixels."""
    image = Image.new("RGB", SIZE, "#fffdf5")
    pen = ImageDraw.Draw(image)
    for inset, width, colour in ((20, 6, "#2f5d8a"), (34, 2, "#d9a441")):
        pen.rectangle((inset, inset, SIZE[0] - inset, SIZE[1] - inset), outline=colour, width=width)
    lines = (
        (120, 54, "Certificate", "#2f5d8a"),
        (205, 24, "This is to certify that", "#444444"),
        (280, 50, _printable(certificate.student) or "the student", "#111111"),
        (350, 24, "has passed the assessment of", "#444444"),
        (415, 38, _printable(certificate.course) or "Picture This", "#111111"),
        (485, 24, f"with {certificate.score:g} of 100 points, on {certificate.date}", "#444444"),
        (580, 15, f"Submission {certificate.submission}", "#666666"),
        (606, 15, f"Signed with the Ed25519 key {public_key}", "#666666"),
        (632, 15, "course verify FILE tells whether this certificate is genuine", "#666666"),
    )
    for y, size, text, colour in lines:
        font = _font(size)
        while font.getlength(text) > SIZE[0] - 100 and size > 8:
            size -= 2
            font = _font(size)
        pen.text((SIZE[0] / 2, y), text, colour, font, anchor="mm")
    return image


def _printable(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu, which comes with matplotlib and has Latin, Greek and Cyrillic letters."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


# -- verifying


def verify(path: str | Path, public_key: str) -> Certificate:
    """The certificate in a file, PNG or JSON, if its signature is that of ``public_key`` (base64).

    Raises:
        PlainError: the file is no certificate, has been changed, or was signed with another key.
    """
    path = Path(path)
    signed, picture = _read(path)
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except (binascii.Error, ValueError) as error:
        raise PlainError(f"{public_key!r} is no Ed25519 public key in base64 ({error}).") from None
    if signed.public_key != public_key:
        raise PlainError(
            f"{path} was signed with another key, {signed.public_key}: ask the runner that gave it for its public key."
        )
    try:
        key.verify(base64.b64decode(signed.signature, validate=True), signed.certificate.canonical())
    except (InvalidSignature, binascii.Error, ValueError):
        raise PlainError(f"{path} is not genuine: its words were changed after it was signed.") from None
    if picture is not None and pixels_sha256(picture) != signed.certificate.picture_sha256:
        raise PlainError(f"{path} is not genuine: its picture was changed after it was signed.")
    return signed.certificate


def _chunks(png: bytes) -> bytes:
    """The names of a PNG's chunks, one after the other."""
    names, start = [], 8
    while start < len(png):
        names.append(png[start + 4 : start + 8])
        start += 12 + int.from_bytes(png[start : start + 4])
    return b"".join(names)


def _read(path: Path) -> tuple[Signed, Image.Image | None]:
    """The signed words in a file, and its picture if it is one."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlainError(f"{path} can't be read ({error.strerror}).") from error
    picture = None
    try:
        if content.startswith(b"\x89PNG"):
            if not content.startswith(HEAD) or not CHUNKS.fullmatch(_chunks(content)):
                raise ValueError("its picture is not as the runner writes it")
            picture = open_untrusted(content, ["PNG"])
            content = picture.info.get(CHUNK, "")
        return Signed.model_validate_json(content), picture
    except (OSError, ValueError) as error:
        what = "words are missing or malformed" if isinstance(error, ValidationError) else error
        raise PlainError(f"{path} is no certificate of this course ({what}).") from error
