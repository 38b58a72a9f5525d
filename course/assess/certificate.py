"""The certificate: a JSON Web Token that the runner signs with EdDSA (RFC 7515, RFC 8037), and a picture of it.

The token is what counts. The PNG contains it in a text chunk, so either file can be verified; what the picture
shows is not part of the signature.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import io
import json
import os
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, ValidationError

from helpers.errors import PlainError
from helpers.pictures import open_untrusted

__all__ = ["Certificate", "Signer", "home", "printable", "read_token", "signed_claims", "verify"]

ALGORITHM = "EdDSA"
ISSUER = "Picture This"
#: The name of the PNG's text chunk.
CHUNK = "certificate"
SIZE = (1000, 700)
MAX_BYTES = 5_000_000
CHANGED = "is not genuine: it was changed after it was signed"


class Certificate(BaseModel):
    """What is certified: who passed which course, with how many of 100 points, when, with which submission."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    student: str
    course: str
    score: float
    date: str
    submission: str


def home() -> Path:
    """Return the folder for the runner's key and database in the user's data folder."""
    return user_data_path("picture-this")


class Signer:
    """Signs with the private key in `path` (PEM), which is created on first use, readable only by its owner."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def at_home(cls) -> Signer:
        """Return the signer of this computer's user."""
        return cls(home() / "certificate-key.pem")

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        try:
            if not self.path.exists():
                self._make()
            key = serialization.load_pem_private_key(self.path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise PlainError(f"The key for signing certificates, {self.path}, can't be used ({error}).") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise PlainError(f"The key for signing certificates, {self.path}, is not an Ed25519 key.")
        return key

    def _make(self) -> None:
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(dir=self.path.parent)  # readable only by its owner
        try:
            with open(handle, "wb") as file:
                file.write(pem)
            with suppress(FileExistsError):
                os.link(new, self.path)  # atomic: the first of two runners, or threads, wins
        finally:
            os.unlink(new)

    @property
    def public_key(self) -> str:
        """The public key in base64, needed to verify a certificate."""
        return _base64(self._key.public_key())

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517)."""
        key = self._key.public_key()
        return {**_members(key), "kid": _thumbprint(key), "alg": ALGORITHM, "use": "sig"}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return the claims as a signed JSON Web Token."""
        headers = {"kid": _thumbprint(self._key.public_key())}
        return jwt.encode({"iss": ISSUER, **claims}, self._key, ALGORITHM, headers=headers)

    def issue(self, certificate: Certificate) -> dict[str, str]:
        """Return the signed certificate as `{"jwt": the token, "png": a picture of it in base64}`."""
        token = self.sign(certificate.model_dump())
        chunks = PngInfo()
        chunks.add_text(CHUNK, token)
        file = io.BytesIO()
        draw(certificate, self.public_key).save(file, "PNG", pnginfo=chunks)
        return {"jwt": token, "png": base64.b64encode(file.getvalue()).decode()}


def _base64(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes_raw()).decode()


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _members(key: Ed25519PublicKey) -> dict[str, str]:
    """Return the required members of the JSON Web Key (RFC 8037), in the order needed for its thumbprint."""
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}


def _thumbprint(key: Ed25519PublicKey) -> str:
    """Return the key's SHA-256 thumbprint (RFC 7638)."""
    return _base64url(hashlib.sha256(json.dumps(_members(key), separators=(",", ":")).encode()).digest())


# -- the picture


def draw(certificate: Certificate, public_key: str) -> Image.Image:
    """Render the certificate: RGB, 1000×700 pixels."""
    image = Image.new("RGB", SIZE, "#fffdf5")
    pen = ImageDraw.Draw(image)
    for inset, width, colour in ((20, 6, "#2f5d8a"), (34, 2, "#d9a441")):
        pen.rectangle((inset, inset, SIZE[0] - inset, SIZE[1] - inset), outline=colour, width=width)
    lines = (
        (120, 54, "Certificate", "#2f5d8a"),
        (205, 24, "This is to certify that", "#444444"),
        (280, 50, printable(certificate.student) or "the student", "#111111"),
        (350, 24, "has passed the assessment of", "#444444"),
        (415, 38, printable(certificate.course) or "Picture This", "#111111"),
        (485, 24, f"with {certificate.score:g} of 100 points, on {certificate.date}", "#444444"),
        (580, 15, f"Submission {certificate.submission}", "#666666"),
        (606, 15, f"Signed with the Ed25519 key {public_key}", "#666666"),
        (632, 15, "course verify FILE prints the signed text", "#666666"),
    )
    for y, size, text, colour in lines:
        font = _font(size)
        while font.getlength(text) > SIZE[0] - 100 and size > 8:
            size -= 2
            font = _font(size)
        pen.text((SIZE[0] / 2, y), text, colour, font, anchor="mm")
    return image


def printable(text: str) -> str:
    """Return the text on one line, without characters that control a terminal or the writing direction."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Load DejaVu, which comes with matplotlib and has Latin, Greek and Cyrillic letters."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


# -- verifying


class _Refused(Exception):
    """Not genuine; the message continues a sentence that starts with the file's name."""


def verify(path: str | Path, public_key: str) -> Certificate:
    """Return the certificate in a PNG or text file, if it was signed with `public_key` (base64, or a JWK as JSON).

    Raises:
        PlainError: the file is not a certificate, was changed, or was signed with another key.
    """
    path, key = Path(path), _read_key(public_key)
    try:
        content = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise PlainError(f"{path} can't be read ({error.strerror}).") from error
    try:
        text = _text_of(content)
        found = json.loads(text) if text.startswith(("{", '"')) else text
        while isinstance(found, dict) and "signature" not in found:  # the runner's answer, or its "certificate"
            found = found.get("jwt") or found.get("json") or found.get("certificate")
        return _verify_signed_json(found, key) if isinstance(found, dict) else _verify_token(found, key)
    except _Refused as refused:
        raise PlainError(f"{path} {refused}.") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, jwt.InvalidTokenError) as error:
        reason = "fields are missing or malformed" if isinstance(error, ValidationError) else error
        raise PlainError(f"{path} is not a certificate of this course, or is incomplete ({reason}).") from error


def signed_claims(token: str, public_key: str) -> dict[str, Any] | None:
    """Return the claims of a token, or None if it was not signed with this key or was changed since."""
    with suppress(jwt.InvalidTokenError):
        return jwt.decode(token, _read_key(public_key), algorithms=[ALGORITHM], issuer=ISSUER)
    return None


def read_token(token: str) -> Certificate:
    """Return the certificate in a token, without verifying the signature."""
    return Certificate.model_validate(jwt.decode(token, options={"verify_signature": False}))


def _read_key(text: str) -> Ed25519PublicKey:
    text = text.lstrip("\ufeff")  # a file with the key may start with a byte order mark
    try:
        words = json.loads(text) if text.lstrip().startswith("{") else {"x": text}
        x = words.get("jwk", words)["x"].strip().replace("-", "+").replace("_", "/").rstrip("=")
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(f"{x}=", validate=True))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PlainError(f"{text!r} is not an Ed25519 public key, in base64 or as a JWK ({error}).") from None


def _text_of(content: bytes) -> str:
    """Return the text in a file, or in a PNG's chunk."""
    if content.startswith(b"\x89PNG"):
        text = open_untrusted(content, ["PNG"]).info.get(CHUNK)
        if text is None:
            raise ValueError("the picture contains no token; a program that saved it again may have dropped it")
    else:
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    return text.strip()


def _verify_token(token: Any, key: Ed25519PublicKey) -> Certificate:
    token = "".join(token.split())  # a mail program may have wrapped it
    header = jwt.get_unverified_header(token)
    if header.get("alg") != ALGORITHM:
        raise _Refused(f"is not genuine: certificates are signed with {ALGORITHM}, not with {header.get('alg')!r:.40}")
    if header.get("kid") != _thumbprint(key):
        raise _another_key(header.get("kid"), _thumbprint(key))
    try:
        return Certificate.model_validate(jwt.decode(token, key, algorithms=[ALGORITHM], issuer=ISSUER))
    except jwt.InvalidSignatureError:
        raise _Refused(CHANGED) from None


def _verify_signed_json(signed: dict, key: Ed25519PublicKey) -> Certificate:
    """Verify a certificate of the first releases, which signed JSON without spaces and with sorted keys."""
    if signed["public_key"] != _base64(key):
        raise _another_key(signed["public_key"], _base64(key))
    words = {**signed["certificate"], "score": float(signed["certificate"]["score"])}
    content = json.dumps(words, sort_keys=True, separators=(",", ":")).encode()
    try:
        key.verify(base64.b64decode(signed["signature"], validate=True), content)
    except InvalidSignature:
        raise _Refused(CHANGED) from None
    return Certificate.model_validate(words)


def _another_key(theirs: Any, ours: str) -> _Refused:
    return _Refused(
        f"was signed with another key, {theirs!r:.80}, not {ours!r}: ask the runner that issued it for its public key"
    )
