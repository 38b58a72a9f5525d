"""Submissions are found however a platform, a computer or a student names files and folders."""

import json
import os
from pathlib import Path

import pytest

from course.build import read_solution, release, solve
from course.grade import found
from course.grade.found import Submission, assignment_of, submissions_in
from course.grade.plan import role
from helpers.errors import PlainError

TINY = Path(__file__).parent / "fixtures" / "00_tiny.py"

pytestmark = pytest.mark.quick

OTHER = {"fetch_course", "setup", "patchify", "patchify_tests", "zero_shot"}


@pytest.fixture(scope="module")
def released():
    return release(solve(read_solution(TINY)))


@pytest.fixture
def tiny(released):
    return json.loads(json.dumps(released))


@pytest.fixture(scope="module")
def assignments(released):
    return {"00_tiny": {cell.id for cell in released.cells if role(cell)}, "02_vqa": OTHER}


@pytest.fixture
def hand_in(tmp_path):
    """Writes a file below the folder of submissions."""

    def hand_in(path, content, *, age=0):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        os.utime(file, (1_000_000 - age, 1_000_000 - age))
        return file

    return hand_in


@pytest.fixture
def seen(tmp_path, assignments):
    """(student, assignment, path below the student's folder) of each submission."""

    def seen():
        return [
            (each.student, each.assignment, "/".join(each.file.relative_to(tmp_path).parts[1:]))
            for each in submissions_in(tmp_path, assignments)
        ]

    return seen


@pytest.mark.parametrize(
    "path",
    [
        "00_tiny/00_tiny.ipynb",
        "00_tiny/Untitled.ipynb",
        "00_tiny/my files/final.ipynb",
        "00_tiny.ipynb",
        "Copy of 00_tiny.ipynb",
        "Kopie von 00_tiny.ipynb",
        "00_tiny (1).ipynb",
        "00_tiny-Copy1.ipynb",
        "00 Tiny final FINAL.IPYNB",
        "00_tiny.ipynb.txt",
        "00_tiny.ipynb.json",
        "00_tiny.json",
        "lovelace_12345_00-tiny.ipynb",
        "homework.ipynb",
        "homework.txt",
    ],
)
def test_a_notebook_is_found_under_many_names(path, hand_in, seen, tiny):
    hand_in(f"ada/{path}", tiny)
    assert seen() == [("ada", "00_tiny", path)]


@pytest.mark.parametrize(
    "path", ["00_tiny.ipynb.txt", "00_tiny.json", "00_tiny/answer.txt", "homework.ipynb", "homework.json"]
)
def test_so_is_one_without_metadata_and_ids(path, hand_in, seen, tiny):
    for cell in tiny["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    hand_in(f"ada/{path}", tiny)
    assert seen() == [("ada", "00_tiny", path)]


def test_so_is_one_with_a_byte_order_mark_or_of_an_old_format(hand_in, seen, tiny):
    hand_in("ada/homework.ipynb", "\ufeff" + json.dumps(tiny))
    hand_in("bob/homework.ipynb", {"nbformat": 3, "worksheets": [{"cells": tiny["cells"]}]})
    assert seen() == [("ada", "00_tiny", "homework.ipynb"), ("bob", "00_tiny", "homework.ipynb")]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("notes.txt", "00_tiny"),
        ("00_tiny.txt", "I handed in late."),
        ("00_tiny.json", {"grades": []}),
        ("00_tiny/timestamp.txt", "2026-01-01 10:00:00 UTC"),
        ("00_tiny/data.json", [1, 2]),
        ("other.ipynb", {"cells": []}),
        (
            "other.ipynb",
            {"cells": [{"cell_type": "code", "id": "setup", "source": "", "metadata": {}}]},
        ),  # both have it
        ("00_tiny.py", "def double(x): ..."),
        ("00_tiny.pdf", "%PDF"),
        (".ipynb_checkpoints/00_tiny-checkpoint.ipynb", {"cells": []}),
        (".venv/lib/00_tiny.ipynb", {"cells": []}),
        (".~00_tiny.ipynb", {"cells": []}),
        ("._00_tiny.ipynb", "Mac OS X"),
        ("__MACOSX/._00_tiny.ipynb", "Mac OS X"),
        ("__MACOSX/00_tiny.ipynb", "Mac OS X"),
    ],
)
def test_other_files_are_left_out(path, content, hand_in, seen):
    hand_in(f"ada/{path}", content)
    assert seen() == []


def test_folders_are_students_and_hidden_ones_are_not(hand_in, seen, tiny):
    for name in ("bob", "ada", ".git", "__MACOSX", ".ipynb_checkpoints"):
        hand_in(f"{name}/00_tiny/00_tiny.ipynb", tiny)
    hand_in("00_tiny.ipynb", tiny)
    assert [student for student, _, _ in seen()] == ["ada", "bob"]


def test_moodles_endings_are_no_part_of_a_students_name(hand_in, seen, tiny):
    hand_in("Ada Lovelace_12345_assignsubmission_file_/homework (2).ipynb", tiny)
    hand_in("Ada Lovelace_12345_assignsubmission_onlinetext_/onlinetext.html", "<p>Here it is.</p>")
    hand_in("Bob_67890_assignsubmission_file/00_tiny.ipynb", tiny)
    assert seen() == [
        ("Ada Lovelace_12345", "00_tiny", "homework (2).ipynb"),
        ("Bob_67890", "00_tiny", "00_tiny.ipynb"),
    ]


def test_two_folders_of_one_student_are_one_submission(hand_in, tmp_path, assignments, tiny):
    best = hand_in("Ada_1_assignsubmission_file_/00_tiny.ipynb", tiny)
    other = hand_in("Ada_1_assignsubmission_onlinetext_/draft.ipynb", tiny)
    assert list(submissions_in(tmp_path, assignments)) == [Submission("Ada_1", "00_tiny", best, (other,))]


def test_two_assignments_in_one_folder(hand_in, seen, tiny):
    hand_in("ada/first.ipynb", tiny)
    hand_in("ada/second.ipynb", {"cells": [{"cell_type": "code", "source": "def patchify(x):\n    return x"}]})
    hand_in("bob/02_vqa.ipynb", {"cells": []})
    hand_in("bob/00_tiny.ipynb", tiny)
    assert seen() == [
        ("ada", "00_tiny", "first.ipynb"),
        ("ada", "02_vqa", "second.ipynb"),
        ("bob", "00_tiny", "00_tiny.ipynb"),
        ("bob", "02_vqa", "02_vqa.ipynb"),
    ]


def test_the_longest_of_names_that_contain_each_other_counts(hand_in, tmp_path):
    file = hand_in("ada/my 01_clip_more.ipynb", {"cells": []})
    assert assignment_of(file, tmp_path / "ada", {"01_clip": set(), "01_clip_more": set()}) == "01_clip_more"


def test_the_best_name_counts(hand_in, tmp_path, assignments, tiny):
    names = ["00_tiny (1).ipynb", "homework.ipynb", "00_tiny.ipynb", "Copy of 00_tiny.ipynb"]
    files = {name: hand_in(f"ada/{name}", tiny, age=number) for number, name in enumerate(names)}
    (one,) = submissions_in(tmp_path, assignments)
    assert one.file == files["00_tiny.ipynb"]
    assert set(one.others) == set(files.values()) - {one.file}


def test_the_newest_of_two_with_one_name_counts(hand_in, seen, tiny):
    hand_in("ada/a/00_tiny.ipynb", tiny, age=20)
    hand_in("ada/b/00_tiny.ipynb", tiny, age=10)
    hand_in("ada/c/00_tiny.ipynb", tiny, age=30)
    assert seen() == [("ada", "00_tiny", "b/00_tiny.ipynb")]


def test_links_are_not_followed(hand_in, seen, tmp_path, tiny):
    theirs = hand_in("ada/00_tiny.ipynb", tiny)
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "00_tiny.ipynb").symlink_to(theirs)
    (tmp_path / "bob" / "00_tiny").symlink_to(tmp_path / "ada")
    (tmp_path / "bob" / "02_vqa.ipynb").symlink_to(tmp_path / "nothing")
    assert seen() == [("ada", "00_tiny", "00_tiny.ipynb")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names on Windows")
def test_a_pipe_is_not_waited_for(seen, tmp_path):
    (tmp_path / "ada").mkdir()
    os.mkfifo(tmp_path / "ada" / "00_tiny.ipynb")
    os.mkfifo(tmp_path / "ada" / "timestamp.txt")
    assert seen() == []
    assert Submission("ada", "00_tiny", tmp_path / "ada" / "a.ipynb").timestamp is None


def test_a_file_that_is_too_large_counts_only_if_there_is_no_other(hand_in, seen, monkeypatch, tiny):
    monkeypatch.setattr(found, "MOST_BYTES", 50_000)
    hand_in("ada/00_tiny.ipynb", " " * 60_000)
    hand_in("bob/00_tiny.ipynb", " " * 60_000)
    hand_in("bob/homework.ipynb", tiny)
    assert seen() == [("ada", "00_tiny", "00_tiny.ipynb"), ("bob", "00_tiny", "homework.ipynb")]


def test_so_does_a_file_that_may_not_be_read(hand_in, seen, monkeypatch, tiny):
    hand_in("ada/00_tiny.ipynb", tiny)
    hand_in("bob/00_tiny.ipynb", tiny)
    hand_in("bob/homework.ipynb", tiny)
    monkeypatch.setattr(os, "access", lambda file, mode: Path(file).name != "00_tiny.ipynb")
    assert seen() == [("ada", "00_tiny", "00_tiny.ipynb"), ("bob", "00_tiny", "homework.ipynb")]


def test_a_file_that_may_not_be_read_is_no_error(hand_in, seen, monkeypatch, tiny):
    hand_in("ada/homework.ipynb", tiny)
    monkeypatch.setattr(
        Path, "read_bytes", lambda file: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    assert seen() == []


def test_the_time_is_the_one_beside_the_notebook(hand_in, tmp_path, assignments, tiny):
    hand_in("ada/00_tiny/00_tiny.ipynb", tiny)
    stamp = hand_in("ada/00_tiny/timestamp.txt", "2026-01-01 10:00:00 UTC")
    hand_in("bob/00_tiny/00_tiny.ipynb", tiny)
    hand_in("bob/timestamp.txt", "2026-01-01 10:00:00 UTC")
    assert [each.timestamp for each in submissions_in(tmp_path, assignments)] == [stamp, None]


def test_a_folder_that_is_missing_is_told_in_a_sentence(tmp_path, assignments):
    with pytest.raises(PlainError, match=r"^There is no folder .*none: name the one that has a folder"):
        list(submissions_in(tmp_path / "none", assignments))
