"""The text encoder that CLIP and the diffusion model share: captions to one vector per token.

It is trained first, on its own: its end token must predict the kind, colour, size and count of each thing in the
*picture's* order (what is left or above comes first, however the caption puts it), the relation, the place and the
style. In a drawn world the labels are known, so this takes minutes. Then it is frozen: CLIP's vision tower learns to
match it (the idea of Zhai et al. 2022, "LiT", arXiv:2111.07991, with the towers' roles swapped) and the U-Net learns to
draw from it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from course.data import Batch, Batches, Drawing, fresh_scenes
from course.labels import IGNORE
from course.train.labels import masked_cross_entropy
from course.train.loop import Plan, Recipe, save_half
from course.train.tokenizer import MAX_TOKENS, load_exported_tokenizer, train_tokenizer
from helpers.picturebook import (
    COLOURS,
    KINDS,
    PLACES,
    SIZES,
    STYLES,
    Scene,
    describe,
    in_picture_order,
    questions,
    random_scene,
)
from helpers.picturebook.scene import MAX_THINGS

WIDTH = 192
SLOTS = {"kind": KINDS, "colour": COLOURS, "size": SIZES, "count": (1, 2, 3, 4)}
ARRANGEMENTS = (None, "left of", "above", "on")


def new_tokenizer() -> CLIPTokenizer:
    """Train the tokenizer on captions, questions and answers of the world."""
    texts = []
    for i, scene in enumerate(fresh_scenes(8000, seed=0)):
        rng = np.random.default_rng((0, i))
        texts.append(describe(scene, rng))
        texts += [text for pair in questions(scene, rng) for text in pair]
    return train_tokenizer(texts)


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Create the untrained encoder."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def training_caption(scene: Scene, rng: np.random.Generator) -> tuple[str, bool]:
    """Return a caption and whether it is complete: a third leave details out, as people's prompts do."""
    full = rng.random() > 1 / 3
    return describe(scene, rng, detail=1.0 if full else 0.6), full


def tokenize(tokenizer: CLIPTokenizer, captions: list[str], *, padding: bool | str = True) -> dict[str, torch.Tensor]:
    """Return token ids (n, length) and attention mask; `padding="max_length"` pads as the diffusion pipeline does."""
    return tokenizer(captions, padding=padding, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")


def text_labels(scene: Scene, full: bool) -> dict[str, int]:
    """Return the labels of the end token, one per head; `IGNORE` where the caption does not say."""
    things, relation = in_picture_order(scene)
    labels = {
        "relation": ARRANGEMENTS.index(relation),
        "place": PLACES.index(scene.place) if full else IGNORE,
        "style": STYLES.index(scene.style) if full else IGNORE,
    }
    for slot in range(MAX_THINGS):
        for name, words in SLOTS.items():
            known = slot < len(things) and (full or name in ("kind", "count"))
            labels[f"{slot}_{name}"] = words.index(getattr(things[slot], name)) if known else IGNORE
    return labels


def new_heads() -> nn.ModuleDict:
    """Create one linear layer per label of `text_labels`; dropped after training."""
    heads = {"relation": ARRANGEMENTS, "place": PLACES, "style": STYLES}
    heads |= {f"{slot}_{name}": words for slot in range(MAX_THINGS) for name, words in SLOTS.items()}
    return nn.ModuleDict({name: nn.Linear(WIDTH, len(words)) for name, words in heads.items()})


HEADS = ("relation", "place", "style", *(f"{slot}_{name}" for slot in range(MAX_THINGS) for name in SLOTS))
"""The names of the labels, in the order of their columns in a batch."""


def label_rows(scenes: list[Scene], full: list[bool]) -> torch.Tensor:
    """Return `text_labels` of all scenes, (n, len(HEADS))."""
    rows = [text_labels(scene, complete) for scene, complete in zip(scenes, full, strict=True)]
    return torch.tensor([[row[name] for name in HEADS] for row in rows])


def heads_loss(logits: dict[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy over all heads; `labels` (n, len(HEADS))."""
    losses = [masked_cross_entropy(logits[name], labels[:, column]) for column, name in enumerate(HEADS)]
    return torch.stack(losses).mean()


class TextBatches(Batches):
    """Captions with their labels, without pictures."""

    pictures = False

    def __init__(self, tokenizer: CLIPTokenizer):
        self.tokenizer = tokenizer

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        scenes = [random_scene(rng) for _ in range(size)]
        captions, full = zip(*(training_caption(scene, rng) for scene in scenes), strict=True)
        return {**tokenize(self.tokenizer, list(captions)), "labels": label_rows(scenes, list(full))}


class TextRecipe(Recipe):
    name = "text"
    cpu = Plan(batch_size=192, learning_rate=1e-3, samples=200_000)
    gpu = Plan(batch_size=768, learning_rate=1.5e-3, samples=1_000_000)
    warmup_steps = 50

    def __init__(self, diffusion: Path | None = None):
        torch.manual_seed(self.seed)
        exported = diffusion and diffusion / "tokenizer"
        self.tokenizer = load_exported_tokenizer(CLIPTokenizer, exported) or new_tokenizer()
        self.batches = TextBatches(self.tokenizer)
        self.modules = nn.ModuleDict({"encoder": new_text_encoder(self.tokenizer), "heads": new_heads()})

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        encoder, heads = self.modules["encoder"], self.modules["heads"]
        end = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).pooler_output
        return heads_loss({name: head(end) for name, head in heads.items()}, batch["labels"])

    def export(self, modules: nn.Module, folder: Path) -> None:
        """Save the encoder, and its tokenizer in the sibling folder of a Stable Diffusion checkpoint."""
        save_half(modules["encoder"], folder)
        self.tokenizer.save_pretrained(folder.parent / "tokenizer")

    def warm_start(self, folder: Path) -> None:
        self.modules["encoder"].load_state_dict(CLIPTextModel.from_pretrained(folder).float().state_dict())
