"""Records and pictures out of a request: paths stay inside, archives unfold to their limits, and come as people make them."""

import base64
import io
import json
import os
import unicodedata
import zipfile

import pytest

from course.assess import parcel
from course.assess.parcel import (
    MAX_FILE,
    MAX_FILES,
    MISSING,
    OUTSIDE,
    TOO_LARGE,
    TOO_MUCH,
    Parcel,
    named_pictures,
    pack_files,
    receive,
    unpack_files,
)
from helpers.submission import Submission

pytestmark = pytest.mark.quick


def submission(*paths, **fields):
    """A submission of one record with these pictures, four of which are looked at."""
    record = {"original_description": "a cat", "prompts": ["a cat"], "image_paths": list(paths)}
    return Submission(submission=[record], **fields)


def in_base64(content):
    return base64.b64encode(content).decode()


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def root(tmp_path):
    """A runner's folder with one submission, and a secret beside it."""
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "root" / "ada" / "generated_images").mkdir(parents=True)
    (tmp_path / "root" / "ada" / "generated_images" / "a.png").write_bytes(b"A")
    return tmp_path / "root"


WAYS = {
    "zip": lambda files: {"zip": in_base64(zipped(files))},
    "images": lambda files: {"images": {name: in_base64(content) for name, content in files.items()}},
}


@pytest.mark.parametrize("way", WAYS)
def test_pictures_travel_in_the_request(way):
    asked = submission("b/ä.png", "gone.png", **WAYS[way]({"b/ä.png": b"B", "unnamed.png": b"C"}))
    got = receive(asked, None)
    assert got.files == {"b/ä.png": b"B"}
    place = {"zip": "the zip archive", "images": 'the field "images"'}[way]
    assert got.problems == {"gone.png": f"{MISSING} ({place} has 'b/ä.png', 'unnamed.png')"}


def test_pictures_lie_in_a_folder(root):
    got = receive(submission("generated_images/a.png", "gone.png", folder="ada"), root)
    assert got.files == {"generated_images/a.png": b"A"}
    assert got.problems == {"gone.png": f"{MISSING} (this runner looked in its folder 'ada')"}


SMALL = [
    ("generated_images/a.png", "generated_images\\a.png"),
    ("generated_images\\a.png", "generated_images/a.png"),
    ("./generated_images//a.png", "generated_images/a.png"),
    ("generated_images/a.png", "./generated_images/a.png"),
    ("generated_images/a.png", "Ada's submission/generated_images/a.png"),
    ("generated_images/a.png", "Downloads\\submission\\generated_images\\a.png"),
    (unicodedata.normalize("NFC", "ä.png"), unicodedata.normalize("NFD", "ä.png")),
]


@pytest.mark.parametrize(("path", "name"), SMALL)
@pytest.mark.parametrize("way", WAYS)
def test_pictures_are_found_as_people_pack_them(path, name, way):
    others = {f"__MACOSX/{path}": b"no", f"x/y/z/{path}": b"no", "generated_images/b.png": b"no"}
    asked = submission(path, **WAYS[way]({**others, name: b"A"}))
    assert receive(asked, None).files == {path: b"A"}


@pytest.mark.parametrize(
    ("path", "folder"),
    [("generated_images\\a.png", "ada"), (".\\ada\\generated_images\\a.png", "."), ("a.png", "ada\\generated_images")],
)
def test_a_folder_is_looked_into_with_paths_as_windows_writes_them(path, folder, root):
    assert receive(submission(path, folder=folder), root).files == {path: b"A"}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_looked_through_is_told(way):
    place = {"zip": "the zip archive", "images": 'the field "images"'}[way]
    for names, sentence in (
        ((), f"({place} has no files)"),
        ([f"{i}.png" for i in range(9)], f"({place} has '0.png', '1.png', '2.png' and 6 more)"),
        (("x/a.png", "y/a.png"), f"{place} has it in 2 folders"),
    ):
        (problem,) = receive(submission("a.png", **WAYS[way](dict.fromkeys(names, b"A"))), None).problems.values()
        assert sentence in problem


def test_base64_is_read_as_people_send_it():
    def sent(content):
        return f"\ufeffdata:application/octet-stream;base64,\n{base64.encodebytes(content).decode()}"

    for fields in ({"images": {"a.png": sent(b"A")}}, {"zip": sent(zipped({"a.png": b"A"}))}):
        assert receive(submission("a.png", **fields), None).files == {"a.png": b"A"}


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "a/../../secret.png",
        "/etc/passwd",
        "~/a.png",
        "..\\secret.png",
        "C:\\a.png",
        "c:a.png",
        "\\etc\\passwd",
        "\\\\host\\share\\a.png",
        "a\\..\\..\\secret.png",
        "a\0.png",
        "",
    ],
)
@pytest.mark.parametrize("way", [*WAYS, "folder"])
def test_a_path_stays_inside(path, way, root):
    fields = {"folder": "."} if way == "folder" else WAYS[way]({"a.png": b"A"})
    got = receive(submission(path, **fields), root)
    assert got.files == {} and got.problems == {path: OUTSIDE}


def test_a_link_does_not_lead_out(root):
    os.symlink(root.parent / "secret.png", root / "ada" / "link.png")
    assert receive(submission("link.png", folder="ada"), root).problems == {"link.png": OUTSIDE}


def test_a_pipe_is_not_waited_for(root):
    os.mkfifo(root / "ada" / "pipe.png")
    assert receive(submission("pipe.png", "generated_images", folder="ada"), root).problems == {
        "pipe.png": f"{MISSING} (this runner looked in its folder 'ada')",
        "generated_images": f"{MISSING} (this runner looked in its folder 'ada')",
    }


@pytest.mark.parametrize("folder", ["..", "../root2", "/", "/etc", "ada/../..", "..\\", "\\etc", "\0"])
def test_a_folder_stays_inside_the_runners(folder, root):
    (problem,) = receive(submission("secret.png", folder=folder), root).problems.values()
    assert "is outside the folder that this runner reads" in problem


def test_without_a_root_no_folder_is_opened(root):
    (problem,) = receive(submission("generated_images/a.png", folder=str(root / "ada")), None).problems.values()
    assert "does not read folders" in problem


def test_without_a_folder_the_runners_own_is_meant(root):
    got = receive(submission("generated_images/a.png", "ada/generated_images/a.png"), root)
    assert got.files == {"ada/generated_images/a.png": b"A"}
    assert got.problems == {"generated_images/a.png": f"{MISSING} (this runner looked in its own folder)"}


def test_without_pictures_it_says_how_to_send_them():
    (problem,) = receive(submission("a.png"), None).problems.values()
    assert "no pictures came" in problem


def test_a_large_picture_is_not_unfolded(root, monkeypatch):
    monkeypatch.setattr(parcel, "MAX_FILE", 1000)
    bomb = bytes(10_000_000)
    (root / "ada" / "bomb.png").write_bytes(bomb)
    for fields in (*(WAYS[way]({"bomb.png": bomb}) for way in WAYS), {"folder": "ada"}):
        assert receive(submission("bomb.png", **fields), root).problems == {"bomb.png": TOO_LARGE}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"zip": "no base64!"}, "not valid base64"),
        ({"zip": in_base64(b"no archive")}, "is not a zip archive"),
        ({"zip": in_base64(zipped({"a.png": b"A" * 100})[:-30])}, "is not a zip archive"),
        (
            {"zip": in_base64(zipped({"a.png": b"AAA"}, zipfile.ZIP_STORED).replace(b"AAA", b"BBB"))},
            "the archive is damaged there",
        ),
        ({"zip": in_base64(zipped({"a.png": b"A"}, zipfile.ZIP_LZMA))}, "unusual method: use deflate"),
        ({"zip": in_base64(zipped({"ä.png": b"A"}).replace("ä".encode(), b"\xff\xff"))}, "is not a zip archive"),
        ({"zip": in_base64(zipped(dict.fromkeys(map(str, range(1_001)), b"")))}, "has more than 1,000 members"),
        ({"zip": "data:application/zip,PK"}, "not valid base64"),
        ({"images": {"a.png": "no base64!"}}, "not valid base64"),
        ({"images": {"a.png": in_base64(b"AAAA")[:-1]}}, "not valid base64"),
        ({"images": {"a.png": "ä"}}, "not valid base64"),
    ],
)
def test_damaged_pictures_are_told(fields, sentence):
    (problem,) = receive(submission("a.png", **fields), None).problems.values()
    assert sentence in problem


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_damage_to_an_archive_gets_out(compression):
    content = zipped({"a.png": bytes(range(256))}, compression)
    for place in range(len(content)):
        for byte in (0, 0xFF, content[place] ^ 1):
            damaged = content[:place] + bytes([byte]) + content[place + 1 :]
            got = receive(submission("a.png", zip=in_base64(damaged)), None)
            assert got.files or got.problems


def test_many_large_pictures_are_too_many_for_the_disk():
    paths = [f"{i}.png" for i in range(20)]
    records = [{"original_description": "", "prompts": [], "image_paths": paths[i : i + 4]} for i in range(0, 20, 4)]
    bombs = in_base64(zipped(dict.fromkeys(paths, bytes(MAX_FILE))))
    got = receive(Submission(submission=records, zip=bombs), None)
    assert sum(map(len, got.files.values())) == MAX_FILES
    assert set(got.problems.values()) == {TOO_MUCH} and len(got.problems) == 12
    assert len(pack_files(got.files)) < 100_000  # as small as it came


def test_a_locked_archive_is_told():
    content = bytearray(zipped({"a.png": b"A"}, zipfile.ZIP_STORED))
    content[6] |= 1  # "encrypted", in the member's head and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (problem,) = receive(submission("a.png", zip=in_base64(bytes(content))), None).problems.values()
    assert "the archive is damaged there" in problem


def test_only_what_can_win_points_is_read():
    record = {"original_description": "", "prompts": [], "image_paths": [f"{i}.png" for i in range(9)]}
    asked = Submission(submission=[{**record, "source_image": "s.png"}] * 6)
    assert named_pictures(asked.submission) == ["s.png", "0.png", "1.png", "2.png", "3.png"]


def test_the_id_depends_on_all_that_came():
    one = receive(submission("a.png", images={"a.png": in_base64(b"A")}), None)
    same = receive(submission("a.png", zip=in_base64(zipped({"a.png": b"A"}))), None)
    assert one.id == same.id and len(one.id) == 32
    others = [
        receive(submission("a.png", images={"a.png": in_base64(b"B")}), None),
        receive(submission("b.png", images={"b.png": in_base64(b"A")}), None),
        receive(submission("a.png", images={"a.png": in_base64(b"A")}, student="Ada"), None),
    ]
    assert len({one.id, *(other.id for other in others)}) == 4


def test_the_id_depends_on_why_pictures_are_missing(root):
    """Of one submission, so that each answer tells its own reasons."""
    asked = [
        receive(submission("a.png"), None),
        receive(submission("a.png", zip="not base64!"), None),
        receive(submission("a.png", zip=in_base64(b"no archive")), None),
        receive(submission("a.png", images={}), None),
        receive(submission("a.png", images={"a.png": "not base64!"}), None),
        receive(submission("a.png", folder="ada"), None),
        receive(submission("a.png", folder="ada"), root),
        receive(submission("a.png", folder=".."), root),
        receive(submission("a.png"), root),
    ]
    assert len({each.id for each in asked}) == len(asked)
    assert receive(submission("a.png", zip="not base64!"), None).id == asked[1].id


def test_what_is_kept_comes_back():
    files = {"b/ä.png": b"\0B", "a.png": b""}
    assert unpack_files(pack_files(files)) == files
    assert json.loads(Submission(**Parcel([]).body()).model_dump_json())["submission"] == []
