"""A submission as it is stored: its records, and the bytes of the pictures that they name.

The sender is untrusted: paths stay inside the submission's folder, archives unpack to no more than the limits below,
and only what can win points is read. But honest submissions come in many forms: base64 with line breaks or as a
`data:` URL, an archive with a folder around everything, Windows paths.
"""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
import zipfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from course.base64_text import from_base64
from helpers.assessment.findings import RECORDS
from helpers.assessment.opened import MAX_FILE, MISSING, OUTSIDE, TOO_LARGE, OpenedSubmission
from helpers.submission import Record, Submission

__all__ = ["MAX_FILE", "MAX_FILES", "RECORDS", "Parcel", "named_pictures", "pack_files", "receive", "unpack_files"]

#: Maximum bytes of all picture files together, in a folder or unpacked. Base64 adds a third, so a request of 20 MB, the
#: endpoint's limit, carries about 15 MB of files.
MAX_FILES = 20_000_000
#: Maximum members of an archive: each takes memory when the archive is opened.
MAX_MEMBERS = 1_000

TOO_MUCH = f"with it, the picture files are larger than {MAX_FILES / 1e6:g} MB together"


class _Unreadable(Exception):
    """A picture is unavailable; the message says why."""


@dataclass(frozen=True)
class Parcel:
    """A received submission.

    Attributes:
        files: path, as the records write it → the picture's bytes.
        problems: path → why there are no bytes.
    """

    records: list[Record]
    student: str = ""
    course: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """32 hex digits, a hash of everything that is judged: a submission sent twice counts once.

        Missing pictures are part of it, with the reasons, because the reasons are part of the verdict.
        """
        digest = hashlib.sha256(Submission(**self.body()).model_dump_json().encode())
        for name, content in sorted(self.files.items()):
            digest.update(f"\n{name} {hashlib.sha256(content).hexdigest()}".encode())
        if self.problems:
            digest.update(json.dumps(self.problems, sort_keys=True).encode())
        return digest.hexdigest()[:32]

    def body(self) -> dict:
        """Return the arguments of a `Submission` without its pictures."""
        return {"submission": self.records, "student": self.student, "course": self.course}

    def opened(self) -> OpenedSubmission:
        """Open the pictures, for `helpers.assessment` to judge."""
        return OpenedSubmission.from_files(self.records, self.files, self.problems)


def named_pictures(records: Iterable[Record]) -> list[str]:
    """Return the paths that are read, each once: source picture and four pictures for each of the first four records."""
    paths = []
    for record in list(records)[:RECORDS]:
        paths += [record.source_image] if record.source_image is not None else []
        paths += record.image_paths[:RECORDS]
    return list(dict.fromkeys(paths))


def receive(submission: Submission, root: Path | None) -> Parcel:
    """Receive a request's records and pictures. Never raises for bad input: faults go into `problems`.

    Args:
        submission: the request.
        root: requests may name folders inside this one, and mean this one if they bring no pictures and name no folder.
            None if requests may not name folders.
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
        bool(parts)
        and ".." not in (*parts, *windows.parts)
        and not (path[0] in "/\\~" or windows.drive or "\0" in path)
    )


def _reader(submission: Submission, root: Path | None) -> Callable[[str], bytes]:
    """Return a function that reads a path's bytes from where the request has its pictures; it raises `_Unreadable`."""
    if submission.zip is not None:
        return _zip_reader(submission.zip)
    if submission.images is not None:
        find = _finder(submission.images, 'the field "images"')
        return lambda path: _decode(submission.images[find(path)])
    if submission.folder is not None:
        return _folder_reader(submission.folder, root)
    if root is not None:
        return _folder_reader(".", root)
    return lambda path: _fail('no pictures came with the submission: send them as "zip" or "images"')


def _fail(reason: str) -> bytes:
    raise _Unreadable(reason)


def _finder(names: Collection[str], place: str) -> Callable[[str], str]:
    """Return a function that finds a path among the names, perhaps inside another folder; it raises `_Unreadable`.

    Args:
        names: the names of the files that came.
        place: where they are, for the message.
    """
    by_path = {_plain(name): name for name in names if not name.startswith("__MACOSX/")}

    def find(path: str) -> str:
        wanted = _plain(path)
        if path in names or wanted in by_path:
            return path if path in names else by_path[wanted]
        inside = sorted((known.count("/"), known) for known in by_path if known.endswith(f"/{wanted}"))
        outermost = [known for depth, known in inside if depth == inside[0][0]]
        if len(outermost) == 1:
            return by_path[outermost[0]]
        if outermost:
            raise _Unreadable(f"{place} has it in {len(outermost)} folders: send it once")
        some = ", ".join(repr(name[:60]) for name in sorted(by_path.values())[:3])
        more = f" and {len(by_path) - 3} more" if len(by_path) > 3 else ""
        raise _Unreadable(f"{MISSING} ({place} has {some or 'no files'}{more})")

    return find


def _plain(path: str) -> str:
    """Normalise a path: forward slashes, no empty parts, accented letters as one character."""
    parts = unicodedata.normalize("NFC", path).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _decode(text: str) -> bytes:
    try:
        content = from_base64(text)
    except ValueError as error:
        raise _Unreadable(f"it is not valid base64 ({error})") from error
    return content if len(content) <= MAX_FILE else _fail(TOO_LARGE)


def _zip_reader(text: str) -> Callable[[str], bytes]:
    try:
        packed = from_base64(text)
    except ValueError as error:
        reason = f'the field "zip" is not valid base64 ({error})'
        return lambda path: _fail(reason)
    if packed.count(b"PK\1\2") > MAX_MEMBERS:  # each member's header
        return lambda path: _fail(f"the archive has more than {MAX_MEMBERS:,} members: pack the named pictures only")
    # Damaged archives can raise any exception, when they are opened and at each member.
    try:
        archive = zipfile.ZipFile(io.BytesIO(packed))
    except Exception:
        return lambda path: _fail('the field "zip" is not a zip archive')
    find = _finder([name for name in archive.namelist() if not name.endswith(("/", "\\"))], "the zip archive")

    def read(path: str) -> bytes:
        info = archive.getinfo(find(path))
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Unreadable("it is compressed with an unusual method: use deflate")
        try:
            with archive.open(info) as member:
                content = member.read(MAX_FILE + 1)  # don't trust the sizes in the archive's headers
        except Exception as error:
            raise _Unreadable(f"the archive is damaged there ({error})") from error
        return content if len(content) <= MAX_FILE else _fail(TOO_LARGE)

    return read


def _folder_reader(folder: str, root: Path | None) -> Callable[[str], bytes]:
    if root is None:
        return lambda path: _fail('this runner does not read folders: send the pictures as "zip" or "images"')
    root = root.resolve()
    base = (root / folder.replace("\\", "/")).resolve() if "\0" not in folder else None
    if base is None or not base.is_relative_to(root):
        return lambda path: _fail(f"the folder {folder[:80]!r} is outside the folder that this runner reads")
    place = "its own folder" if base == root else f"its folder {folder[:80]!r}"

    def read(path: str) -> bytes:
        try:
            file = base / path
            file = (file if file.is_file() else base / _plain(path)).resolve()
            if not file.is_relative_to(base):  # a link may lead out
                raise _Unreadable(OUTSIDE)
            if not file.is_file():
                raise _Unreadable(f"{MISSING} (this runner looked in {place})")
            with file.open("rb") as opened:
                content = opened.read(MAX_FILE + 1)
        except OSError as error:
            raise _Unreadable(f"it can't be read ({error.strerror})") from error
        return content if len(content) <= MAX_FILE else _fail(TOO_LARGE)

    return read


def pack_files(files: dict[str, bytes]) -> bytes:
    """Pack the pictures into one zip archive for storage, compressed, because an untrusted file may be mostly zeros."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return archive.getvalue()


def unpack_files(content: bytes) -> dict[str, bytes]:
    """Undo `pack_files`."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}
