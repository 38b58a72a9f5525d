"""The certificate: a signed token and a picture that carries it; `course verify` notices every change of its words."""

import base64
import codecs
import hashlib
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from course.assess.certificate import SIZE, Certificate, Signer, draw, read_token, verify
from course.cli import app
from helpers.errors import PlainError

pytestmark = pytest.mark.quick

WORDS = {"course": "Picture This", "score": 93.8, "date": "2026-11-22", "submission": "0f" * 16}


def of(student):
    return Certificate(student=student, **WORDS)


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path / "data" / "key.pem")


@pytest.fixture
def other(tmp_path):
    """Another runner's signer."""
    return Signer(tmp_path / "other.pem")


@pytest.fixture
def issued(signer):
    return signer.issue(of("Åsa Ω Öberg"))


@pytest.fixture
def checked(signer, tmp_path):
    """Verifies the content of a file."""

    def verified(content, key=None):
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return verify(path, signer.public_key if key is None else key)

    return verified


@pytest.mark.parametrize(
    "written",
    [
        lambda made: base64.b64decode(made["png"]),
        lambda made: made["jwt"],
        lambda made: f"\n  {made['jwt']}\r\n",
        lambda made: "\n".join(made["jwt"][i : i + 76] for i in range(0, len(made["jwt"]), 76)),
        lambda made: codecs.BOM_UTF8 + made["jwt"].encode(),
        lambda made: codecs.BOM_UTF8 + json.dumps(made).encode(),
        lambda made: codecs.BOM_UTF16_LE + made["jwt"].encode("utf-16-le"),
        lambda made: json.dumps(made["jwt"]),
        lambda made: json.dumps(made, indent=2),
        lambda made: json.dumps({"result": "passed", "certificate": made}),
    ],
    ids=["png", "jwt", "spaces", "lines", "bom", "bom json", "utf-16", "json text", "json", "answer"],
)
def test_a_certificate_is_read_however_it_was_kept(checked, issued, written):
    assert checked(written(issued)) == of("Åsa Ω Öberg")


def test_the_token_is_one_that_any_library_reads(signer, issued):
    key = jwt.PyJWK(signer.jwk)
    assert jwt.decode(issued["jwt"], key, ["EdDSA"]) == {"iss": "Picture This", "student": "Åsa Ω Öberg", **WORDS}
    header = jwt.get_unverified_header(issued["jwt"])
    assert header == {"alg": "EdDSA", "typ": "JWT", "kid": signer.jwk["kid"]}
    assert read_token(issued["jwt"]) == of("Åsa Ω Öberg")


def test_the_thumbprint_is_that_of_the_standard(signer):
    """RFC 8037, appendix A.3."""
    assert set(signer.jwk) == {"crv", "kty", "x", "kid", "alg", "use"}
    members = {name: signer.jwk[name] for name in ("crv", "kty", "x")}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    assert base64.urlsafe_b64decode(f"{signer.jwk['kid']}=") == digest


def test_the_key_may_be_given_in_several_ways(signer, checked, issued):
    raw = base64.b64decode(signer.public_key)
    for key in (
        signer.public_key,
        f" {signer.public_key}\n",
        f"\ufeff{signer.public_key}\n",  # out of a file with a byte order mark
        f"\ufeff{json.dumps(signer.jwk)}",
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        json.dumps(signer.jwk),
        json.dumps({"public_key": signer.public_key, "jwk": signer.jwk}),  # as GET /run_assessment/key answers
    ):
        assert checked(issued["jwt"], key) == of("Åsa Ω Öberg")


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
    with pytest.raises(PlainError, match="not an Ed25519 key"):
        _ = signer.public_key


# -- what is not genuine


def encoded(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def forged(token, header=None, **claims):
    """The token with another header, or other claims, and its old signature."""
    head, body, signature = token.split(".")
    body = encoded(jwt.decode(token, options={"verify_signature": False}) | claims) if claims else body
    return ".".join([encoded(jwt.get_unverified_header(token) | header) if header else head, body, signature])


@pytest.mark.parametrize(
    "change", [{"student": "Eve"}, {"score": 100.0}, {"date": "2026-11-23"}, {"course": "x"}, {"iss": "x"}]
)
def test_a_changed_word_is_noticed(checked, issued, change):
    assert forged(issued["jwt"], {}) == issued["jwt"]
    with pytest.raises(PlainError, match="is not genuine: it was changed after it was signed"):
        checked(forged(issued["jwt"], **change))


def test_a_picture_with_another_token_is_noticed(checked, issued):
    with Image.open(io.BytesIO(base64.b64decode(issued["png"]))) as image:
        chunks, file = PngInfo(), io.BytesIO()
        chunks.add_text("certificate", forged(issued["jwt"], student="Eve"))
        image.save(file, "PNG", pnginfo=chunks)
    with pytest.raises(PlainError, match="is not genuine"):
        checked(file.getvalue())


def test_of_a_changed_picture_the_signed_words_are_told(checked, issued):
    with Image.open(io.BytesIO(base64.b64decode(issued["png"]))) as image:
        chunks, file = PngInfo(), io.BytesIO()
        chunks.add_text("certificate", image.info["certificate"])
        ImageDraw.Draw(image).rectangle((100, 240, 900, 320), "red")
        image.save(file, "PNG", pnginfo=chunks)
    assert checked(file.getvalue()) == of("Åsa Ω Öberg")


def test_another_runners_certificate_is_told(signer, other, checked, issued):
    with pytest.raises(PlainError, match="was signed with another key"):
        checked(issued["jwt"], other.public_key)
    with pytest.raises(PlainError, match="is not genuine"):  # with a false name of the key
        checked(forged(issued["jwt"], {"kid": other.jwk["kid"]}), other.public_key)


def test_other_algorithms_are_refused(signer, checked, issued):
    """None at all, the public key taken for a shared secret, and one of the same family of keys."""
    claims, kid = {"iss": "Picture This", **of("Eve").model_dump()}, {"kid": signer.jwk["kid"]}
    elliptic = ec.generate_private_key(ec.SECP256R1())
    for token in (
        jwt.encode(claims, None, "none", headers=kid),
        jwt.encode(claims, base64.b64decode(signer.public_key), "HS256", headers=kid),
        jwt.encode(claims, signer.public_key, "HS256", headers=kid),
        jwt.encode(claims, elliptic, "ES256", headers=kid),
        forged(issued["jwt"], {"alg": "none"}, student="Eve"),
        forged(issued["jwt"], {"alg": "none"}).rpartition(".")[0] + ".",
    ):
        with pytest.raises(PlainError, match="is not genuine: certificates are signed with EdDSA, not with"):
            checked(token)


def test_a_cut_token_is_noticed(checked, issued):
    token = issued["jwt"]
    for end in (*range(0, len(token), 7), len(token) - 2, token.rindex("."), token.rindex(".") + 1):
        with pytest.raises(PlainError, match=r"is not genuine|is not a certificate"):
            checked(token[:end])


def test_another_token_of_the_same_key_is_no_certificate(signer, checked):
    claims = {"iss": "Picture This", **of("Ada").model_dump()}
    for changed in ({**claims, "iss": "x"}, {**claims, "score": "all"}, {"iss": "Picture This"}, {"student": "Ada"}):
        token = jwt.encode(changed, signer._key, "EdDSA", headers={"kid": signer.jwk["kid"]})
        with pytest.raises(PlainError, match="is not a certificate of this course"):
            checked(token)


def picture_file(size):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"jwt": 7}',
        b'{"signature": 7}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff",
        b"\xff\xfe\x00",
        b"a.b.c",
        b"....",
        b"\x89PNG\r\n\x1a\n",
        picture_file((5, 5)),
        picture_file(SIZE),
    ],
)
def test_what_is_not_a_certificate_gets_a_sentence(checked, content):
    with pytest.raises(PlainError, match="is not a certificate of this course"):
        checked(content)


def test_a_missing_file_and_a_wrong_key_get_sentences(signer, checked, issued, tmp_path):
    with pytest.raises(PlainError, match="can't be read"):
        verify(tmp_path / "nowhere.png", signer.public_key)
    for key in ("", "ä", "AAAA", "{}", "{", '{"x": 7}', '{"jwk": []}'):
        with pytest.raises(PlainError, match="is not an Ed25519 public key"):
            checked(issued["jwt"], key)


# -- certificates of the first releases


@pytest.fixture
def signed(signer):
    words = {**of("Åsa Ω Öberg").model_dump(), "picture_sha256": "0" * 64}
    signature = signer._key.sign(json.dumps(words, sort_keys=True, separators=(",", ":")).encode())
    return {
        "certificate": words,
        "signature": base64.b64encode(signature).decode(),
        "public_key": signer.public_key,
    }


def test_the_signed_json_of_the_first_releases_is_verified(checked, signed):
    chunks, file = PngInfo(), io.BytesIO()
    chunks.add_text("certificate", json.dumps(signed))
    Image.new("RGB", SIZE).save(file, "PNG", pnginfo=chunks)
    for content in (json.dumps(signed, indent=2), json.dumps({"json": signed, "png": ""}), file.getvalue()):
        assert checked(content) == of("Åsa Ω Öberg")


def test_changes_of_a_signed_json_are_noticed(checked, signed, other):
    for change in ({"student": "Eve"}, {"score": 100.0}, {"picture_sha256": "1" * 64}):
        with pytest.raises(PlainError, match="is not genuine"):
            checked(json.dumps({**signed, "certificate": {**signed["certificate"], **change}}))
    for signature in ("", base64.b64encode(bytes(64)).decode()):
        with pytest.raises(PlainError, match="is not genuine"):
            checked(json.dumps({**signed, "signature": signature}))
    with pytest.raises(PlainError, match="was signed with another key"):
        checked(json.dumps(signed), other.public_key)
    with pytest.raises(PlainError, match="is not genuine"):
        checked(json.dumps({**signed, "public_key": other.public_key}), other.public_key)


# -- the picture and the command


@pytest.mark.parametrize("student", ["", "A" * 200, "W" * 200, "line\nbreak \x00\u202e", "名前"])
def test_any_name_can_be_drawn(signer, checked, student):
    assert checked(base64.b64decode(signer.issue(of(student))["png"])).student == student


def test_the_name_stands_in_the_picture(signer):
    one, other = (draw(of(name), signer.public_key) for name in ("Ada", "Eve"))
    assert one.size == SIZE and one.tobytes() != other.tobytes()


def test_the_command_prints_the_signed_words(signer, tmp_path):
    made = signer.issue(of("Åsa\n\x1b[2JÖberg"))
    png, text = tmp_path / "certificate.png", tmp_path / "certificate.jwt"
    png.write_bytes(base64.b64decode(made["png"]))
    text.write_text(made["jwt"])
    for path in (png, text):
        good = CliRunner().invoke(app, ["verify", str(path), "--key", signer.public_key])
        assert good.exit_code == 0
        assert "Genuine: Åsa [2JÖberg passed Picture This on 2026-11-22." in good.output
        assert "93.8 of 100 points" in good.output
        assert "The picture is not part of the signature" in good.output
    text.write_text(forged(made["jwt"], score=99.8))
    changed = CliRunner().invoke(app, ["verify", str(text), "--key", signer.public_key])
    assert changed.exit_code == 1 and "is not genuine" in changed.output
