"""A submission as it is kept: its records, and the bytes of the pictures that they name.

A stranger sends it, so nothing in it is believed: a path stays inside the submission's folder, an archive unfolds
to no more than the limits below, and of a long submission only what can win points is read.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from helpers.submission import Record, Submission

__all__ = ["MAX_FILE", "MAX_FILES", "RECORDS", "Parcel", "named_pictures", "pack_files", "receive", "unpack_files"]

#: Four source pictures, and four pictures of each: what a submission should hold, and all that is looked at.
RECORDS = 4
#: The most bytes of one picture's file.
MAX_FILE = 5_000_000
#: The most bytes of all pictures' files together, in a folder or unfolded from an archive. Plain base64 takes a third more
#: bytes than the files, so a request of 20 MB, the most that the endpoint lets in, carries some 15 MB of them.
MAX_FILES = 20_000_000
#: The most members of an archive; each takes memory when it is opened.
MAX_MEMBERS = 1_000

MISSING = "it is not there"
OUTSIDE = "its path leads out of the submission's folder"
TOO_LARGE = f"its file is larger than {MAX_FILE / 1e6:g} MB"
TOO_MUCH = f"with it the pictures' files are more than {MAX_FILES / 1e6:g} MB together"


class _Unreadable(Exception):
    """A picture can't be had; the message says why."""


@dataclass(frozen=True)
class Parcel:
    """What came in.

    Attributes:
        files: path → the bytes of a picture, as the records name it.
        problems: path → why there are no bytes.
    """

    records: list[Record]
    student: str = ""
    course: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """32 hex digits that depend on all that came in: the same submission sent twice is one submission."""
        digest = hashlib.sha256(Submission(**self.body()).model_dump_json().encode())
        for name, content in sorted(self.files.items()):
            digest.update(f"\n{name} {hashlib.sha256(content).hexdigest()}".encode())
        return digest.hexdigest()[:32]

    def body(self) -> dict:
        """The arguments of a `Submission` without its pictures."""
        return {"submission": self.records, "student": self.student, "course": self.course}


def named_pictures(records: Iterable[Record]) -> list[str]:
    """The paths that are looked at, each once: of four records, the source picture and four pictures."""
    paths = []
    for record in list(records)[:RECORDS]:
        paths += [record.source_image] if record.source_image is not None else []
        paths += record.image_paths[:RECORDS]
    return list(dict.fromkeys(paths))


def receive(submission: Submission, root: Path | None) -> Parcel:
    """A request's records and pictures. Never raises for what a stranger sent: faults stand in ``problems``.

    Args:
        root: the folder whose folders a request may name; None where it may name none. It is the one that a request
            means which brings no pictures and names no folder.
    """
    read = _reader(submission, root)
    files, problems, room = {}, {}, MAX_FILES
    for path in named_pictures(submission.submission):
        try:
            if not _stays_inside(path):
                raise _Unreadable(OUTSIDE)
            content = read(path)
            if len(content) > room:
                raise _Unreadable(TOO_MUCH)
            files[path], room = content, room - len(content)
        except _Unreadable as error:
            problems[path] = str(error)
    return Parcel(submission.submission, submission.student, submission.course, files, problems)


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    windows = PureWindowsPath(path)
    return (
        bool(parts) and ".." not in (*parts, *windows.parts) and not (path[0] in "/~" or windows.drive or "\0" in path)
    )


def _reader(submission: Submission, root: Path | None) -> Callable[[str], bytes]:
    """The function that finds a path's bytes where the request has its pictures; it raises ``_Unreadable``."""
    if submission.zip is not None:
        return _zip_reader(submission.zip)
    if submission.images is not None:
        return lambda path: _decode(submission.images[path]) if path in submission.images else _fail(MISSING)
    if submission.folder is not None:
        return _folder_reader(submission.folder, root)
    if root is not None:
        return _folder_reader(".", root)
    return lambda path: _fail('no pictures came with the submission: send them as "zip" or "images"')


def _fail(reason: str) -> bytes:
    raise _Unreadable(reason)


def _decode(text: str) -> bytes:
    if len(text) > MAX_FILE * 4 // 3 + 4:
        raise _Unreadable(TOO_LARGE)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _Unreadable(f"it is not whole in base64 ({error})") from error


def _zip_reader(text: str) -> Callable[[str], bytes]:
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError:
        return lambda path: _fail('the field "zip" is not whole in base64')
    if packed.count(b"PK\1\2") > MAX_MEMBERS:  # the mark of each member
        return lambda path: _fail(f"the archive has more than {MAX_MEMBERS:,} members: pack the named pictures only")
    # A damaged archive raises whatever its reader stumbles over, when it is opened and at each member.
    try:
        archive = zipfile.ZipFile(io.BytesIO(packed))
    except Exception:
        return lambda path: _fail('the field "zip" holds no zip archive')

    def read(path: str) -> bytes:
        try:
            info = archive.getinfo(path)
        except KeyError:
            raise _Unreadable(MISSING) from None
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Unreadable("the archive compresses it in an unusual way: pack it with the method deflate")
        try:
            with archive.open(info) as member:
                content = member.read(MAX_FILE + 1)  # of what an archive says of its sizes nothing is believed
        except Exception as error:
            raise _Unreadable(f"the archive can't give it ({error})") from error
        return content if len(content) <= MAX_FILE else _fail(TOO_LARGE)

    return read


def _folder_reader(folder: str, root: Path | None) -> Callable[[str], bytes]:
    if root is None:
        return lambda path: _fail('this runner opens no folders: send the pictures as "zip" or "images"')
    root = root.resolve()
    if "\0" in folder or not (root / folder).resolve().is_relative_to(root):
        return lambda path: _fail(f"the folder {folder[:80]!r} is outside of the one that this runner looks into")
    base = (root / folder).resolve()

    def read(path: str) -> bytes:
        file = (base / path).resolve()
        if not file.is_relative_to(base):  # a link may lead out
            raise _Unreadable(OUTSIDE)
        try:
            if not file.is_file():
                raise _Unreadable(MISSING)
            with file.open("rb") as opened:
                content = opened.read(MAX_FILE + 1)
        except OSError as error:
            raise _Unreadable(f"it can't be read ({error.strerror})") from error
        return content if len(content) <= MAX_FILE else _fail(TOO_LARGE)

    return read


def pack_files(files: dict[str, bytes]) -> bytes:
    """The pictures as one zip archive, for keeping; compressed, for what unfolded may be mostly air."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return archive.getvalue()


def unpack_files(content: bytes) -> dict[str, bytes]:
    """The inverse of `pack_files`."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}
