"""Base64 is read as people send it, and refused where it is not whole."""

import base64

import pytest

from course.base64_text import from_base64

pytestmark = pytest.mark.quick

CONTENT = bytes(range(256)) * 3
LETTERS = base64.b64encode(CONTENT).decode()
assert {"+", "/"} < set(LETTERS)


@pytest.mark.parametrize(
    "written",
    [
        LETTERS,
        f"  {LETTERS}\n",
        base64.encodebytes(CONTENT).decode(),  # a line break after 76 letters
        base64.encodebytes(CONTENT).decode().replace("\n", "\r\n"),
        base64.urlsafe_b64encode(CONTENT).decode(),
        f"\ufeff{LETTERS}",  # out of a file with a byte order mark
        f"\ufeffdata:image/png;base64,{LETTERS}",
        f"data:image/png;base64,{LETTERS}",
        f"data:;base64,{LETTERS}",
        f"DATA:image/png;charset=utf-8;BASE64,\n{base64.encodebytes(CONTENT).decode()}",
    ],
)
def test_it_is_read_as_people_send_it(written):
    assert from_base64(written) == CONTENT


@pytest.mark.parametrize("written", ["no base64!", LETTERS[:-1], "ä", "data:image/png,abc", f"data:{LETTERS}"])
def test_what_is_not_whole_is_refused(written):
    with pytest.raises(ValueError):
        from_base64(written)
