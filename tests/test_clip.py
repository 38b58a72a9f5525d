"""helpers.clip on a CLIP of a few weights: batches, unit length, and sentences for wrong inputs."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import clip

RED, BLUE = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))


class Inputs(dict):
    def to(self, *where):
        return self


class Words:
    """A CLIP whose text space and picture space are the share of red, green and blue."""

    device, dtype, batches = "cpu", torch.float32, ()

    def __call__(self, *, text=None, images=None, **how):
        self.batches = (*self.batches, len(text or images))
        if text is not None:
            return Inputs(found=torch.tensor([[t.count(c) * 3.0 for c in ("red", "green", "blue")] for t in text]))
        return Inputs(found=torch.tensor([np.asarray(image).mean((0, 1)).tolist() for image in images]))

    def get_text_features(self, found):
        return found

    def get_image_features(self, found):
        return SimpleNamespace(pooler_output=found)  # as transformers 5 gives it


@pytest.fixture
def words(monkeypatch):
    model = Words()
    monkeypatch.setattr(clip, "_clip", lambda: SimpleNamespace(model=model, processor=model))
    return model


def test_embeddings_are_float32_rows_of_length_1_in_batches(words):
    found = clip.embed_texts(["red", "blue", "red blue"], batch_size=2)
    assert found.dtype == np.float32 and found.shape == (3, 3)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert words.batches == (2, 1)


def test_similarity_has_a_row_for_each_text_and_a_column_for_each_picture(words):
    table = clip.similarity(["red", "blue", "red blue"], [RED, BLUE])
    assert np.allclose(table, [[1, 0], [0, 1], [0.5**0.5, 0.5**0.5]])


def test_grey_and_transparent_pictures_are_seen_as_viewers_show_them(words):
    red, clear = Image.new("RGBA", (4, 4), "red"), Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    seen = clip.embed_images([Image.new("L", (4, 4), 255), red, clear, Image.new("RGB", (4, 4), "white"), RED])
    assert np.allclose(seen[0], seen[3]) and np.allclose(seen[1], seen[4]) and np.allclose(seen[2], seen[3])


def test_wrong_inputs_are_said_in_a_sentence(words):
    with pytest.raises(TypeError, match=r"embed_texts\(\['a cat'\]\)"):
        clip.embed_texts("a cat")
    with pytest.raises(TypeError, match=r"embed_images\(\[picture\]\)"):
        clip.embed_images(RED)
    with pytest.raises(ValueError, match="nothing to embed"):
        clip.embed_texts([])
