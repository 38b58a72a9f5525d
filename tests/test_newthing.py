"""New things are drawn by seed, in every place and style, and none is a kind that the models have seen."""

import numpy as np
import pytest

from helpers import newthing
from helpers.picturebook import KINDS, STYLES
from helpers.picturebook.canvas import draw_figures

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("kind", newthing.NEW_THINGS)
def test_a_seed_fixes_the_pictures(kind):
    first, again, other = (newthing.pictures(kind, 4, seed=seed, size=64) for seed in (1, 1, 2))
    assert [p.tobytes() for p in first] == [p.tobytes() for p in again]
    assert first[0].mode == "RGB" and first[0].size == (64, 64)
    assert len({p.tobytes() for p in first + other}) == 8


def test_new_things_are_new():
    assert not set(newthing.NEW_THINGS) & set(KINDS)
    with pytest.raises(ValueError, match="choose one of: robot, snowman, mushroom"):
        newthing.pictures("cat")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", newthing.NEW_THINGS)
def test_new_things_show_in_every_style_where_they_stand(kind, style):
    bare, drawn = (
        np.asarray(draw_figures(things, "meadow", style, size=96), int)
        for things in ([], [newthing.figure(kind, 0.6, 0.7, 0.2)])
    )
    rows, columns = np.nonzero(np.abs(bare - drawn).max(2) > 40)
    assert len(rows) > 0.2 * (0.4 * 96) ** 2
    assert rows.min() > 0.5 * 96 - 10 and columns.min() > 0.4 * 96 - 10 and columns.max() < 0.8 * 96 + 10


def test_random_pictures_differ_and_follow_their_generator():
    first, again = ([newthing.random_picture(rng, 64).tobytes() for _ in range(40)] for rng in _generators())
    assert first == again and len(set(first)) == 40


def _generators():
    return np.random.default_rng(5), np.random.default_rng(5)
