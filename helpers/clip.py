"""CLIP embeddings and similarity: texts and pictures as points in one space, close together if they match.

The model is the registry's (`helpers.models.load("clip")`), so the same code runs on the mini CLIP and on a full one.
Paper: Learning Transferable Visual Models From Natural Language Supervision, Radford et al. 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["embed_images", "embed_texts", "similarity"]


def embed_texts(texts: Sequence[str], *, batch_size: int = 256) -> np.ndarray:
    """Embed texts: float32 array (n, projection size), each row of length 1.

    Raises:
        TypeError: `texts` is a single string, which would otherwise be read as a list of letters.
    """
    if isinstance(texts, str):
        raise TypeError(f"embed_texts expects a list of texts, but got one string; write embed_texts([{texts!r}])")
    clip = _clip()
    return _embed(
        list(texts),
        batch_size,
        lambda batch: clip.model.get_text_features(
            **clip.processor(text=batch, padding=True, truncation=True, return_tensors="pt").to(clip.model.device)
        ),
    )


def embed_images(images: Sequence[Image.Image], *, batch_size: int = 64) -> np.ndarray:
    """Embed pictures: float32 array (n, projection size), each row of length 1.

    Raises:
        TypeError: `images` is a single picture: put it into a list.
    """
    if hasattr(images, "convert"):
        raise TypeError("embed_images expects a list of pictures, but got one; write embed_images([picture])")
    from helpers.pictures import as_rgb

    clip = _clip()
    images = [as_rgb(image) for image in images]
    return _embed(
        images,
        batch_size,
        lambda batch: clip.model.get_image_features(
            **clip.processor(images=batch, return_tensors="pt").to(clip.model.device, clip.model.dtype)
        ),
    )


def similarity(texts: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:
    """Return the cosine similarity of every text with every picture: array (texts, images), from -1 to 1."""
    return embed_texts(texts) @ embed_images(images).T


def _clip():
    from helpers import models

    return models.load("clip")


def _embed(items, batch_size, features) -> np.ndarray:
    import numpy as np
    import torch

    if not items:
        raise ValueError("there is nothing to embed: the list is empty")
    rows = []
    with torch.inference_mode():
        for start in range(0, len(items), batch_size):
            output = features(items[start : start + batch_size])
            embeddings = getattr(output, "pooler_output", output).float()  # transformers 4 returns the bare tensor
            rows.append(torch.nn.functional.normalize(embeddings, dim=-1).cpu().numpy())
    return np.concatenate(rows)
