"""New things are drawn by seed, in every place, and none is a kind that the models have seen."""

import pytest

from helpers import newthing
from helpers.picturebook import KINDS


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
