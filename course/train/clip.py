"""CLIP: pictures and captions in one space of 512 dimensions (Radford et al. 2021, arXiv:2103.00020).

The trained text encoder is frozen (see `text`); trained here are the vision tower, the two projections and the
temperature, with CLIP's own loss: symmetric cross-entropy over the similarities of a batch.

Short captions, "a cat" or "in the snow", match many pictures of a batch at once, so they get separate losses: which of
all kinds, which of all places is it?

Auxiliary heads, dropped afterwards, make thousands of pictures do the work of millions, because in a drawn world the
labels are known: each patch token must predict the kind and colour of the thing that covers it, in the last layer and
in the one before (which the chat model uses), the class token place and style.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTextModel, CLIPTokenizer

from course.data import Batch, Batches, Drawing, stacked, to_pixels
from course.labels import GRID, IGNORE
from course.train.labels import masked_cross_entropy
from course.train.loop import Plan, Recipe, save_half
from course.train.text import WIDTH, tokenize, training_caption
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES, with_article
from helpers.picturebook.scene import pick
from helpers.picturebook.words import PLACE_PHRASES

IMAGE_SIZE = 128
EMBEDDING = 512
SHORT_CAPTIONS = (
    "{kind}",
    "{a_kind}",
    "one {kind}",
    "a picture of {a_kind}",
    "a photo of {a_kind}",
    "a drawing of {a_kind}",
    "an image of {a_kind}",
)


def new_clip(text_encoder: CLIPTextModel) -> CLIPModel:
    """Create a CLIP with this text encoder, frozen, and an untrained vision tower."""
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "image_size": IMAGE_SIZE,
        "patch_size": IMAGE_SIZE // GRID,
        "hidden_act": "gelu",  # fused; CLIP's usual quick_gelu takes a quarter of a training step on a CPU
    }
    text = text_encoder.config.to_dict() | {"_name_or_path": ""}  # drop this machine's path
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=EMBEDDING)
    clip = CLIPModel(config)
    clip.text_model.load_state_dict(text_encoder.state_dict())
    clip.text_model.requires_grad_(False)
    return clip


def new_processor(tokenizer: CLIPTokenizer) -> CLIPProcessor:
    """Create the processor: pictures are resized to 128 × 128 and scaled to -1 … 1."""
    images = CLIPImageProcessor(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        do_center_crop=False,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    return CLIPProcessor(images, tokenizer)


class CLIPBatches(Batches):
    """Pictures with captions, the short captions of all kinds and all places, and segmentation labels."""

    def __init__(self, tokenizer: CLIPTokenizer):
        self.tokenizer = tokenizer

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        scenes = [drawing.scene for drawing in drawings]
        captions = tokenize(self.tokenizer, [training_caption(scene, rng)[0] for scene in scenes], padding="max_length")
        template = pick(rng, SHORT_CAPTIONS)
        kinds = [template.format(kind=kind, a_kind=with_article(kind)) for kind in KINDS]
        names = tokenize(self.tokenizer, kinds + [pick(rng, PLACE_PHRASES[place]) for place in PLACES])
        return {
            "pixels": stacked(drawings),
            "ids": captions["input_ids"],
            "mask": captions["attention_mask"],
            "name_ids": names["input_ids"],
            "name_mask": names["attention_mask"],
            "covers": stacked(drawings, "covers"),
            "kind": torch.tensor([KINDS.index(s.things[0].kind) if len(s.things) == 1 else IGNORE for s in scenes]),
            "place": torch.tensor([PLACES.index(scene.place) for scene in scenes]),
            "style": torch.tensor([STYLES.index(scene.style) for scene in scenes]),
        }


class CLIPRecipe(Recipe):
    name = "clip"
    cpu = Plan(batch_size=96, learning_rate=3e-3, samples=300_000)
    gpu = Plan(batch_size=384, learning_rate=3e-3, samples=800_000)
    weight_decay = 0.02

    def __init__(self, diffusion: Path):
        torch.manual_seed(self.seed)
        self.tokenizer = CLIPTokenizer.from_pretrained(diffusion / "tokenizer")
        self.batches = CLIPBatches(self.tokenizer)
        text_encoder = CLIPTextModel.from_pretrained(diffusion / "text_encoder").float()
        heads = {
            "kind": nn.Linear(WIDTH, len(KINDS) + 1),
            "colour": nn.Linear(WIDTH, len(COLOURS) + 1),
            "kind_before": nn.Linear(WIDTH, len(KINDS) + 1),
            "colour_before": nn.Linear(WIDTH, len(COLOURS) + 1),
            "place": nn.Linear(WIDTH, len(PLACES)),
            "style": nn.Linear(WIDTH, len(STYLES)),
        }
        self.modules = nn.ModuleDict({"clip": new_clip(text_encoder), "heads": nn.ModuleDict(heads)})

    @torch.no_grad()
    def _read(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.modules["clip"].text_model(input_ids=ids, attention_mask=mask).pooler_output

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        clip, heads = self.modules["clip"], self.modules["heads"]
        vision = clip.vision_model(pixel_values=to_pixels(batch["pixels"]), output_hidden_states=True)
        text = self._read(batch["ids"], batch["mask"])
        names = self._read(batch["name_ids"], batch["name_mask"])

        image_embeds = F.normalize(clip.visual_projection(vision.pooler_output).float(), dim=-1)
        text_embeds = F.normalize(clip.text_projection(text).float(), dim=-1)
        name_embeds = F.normalize(clip.text_projection(names).float(), dim=-1)
        scale = clip.logit_scale.exp().clamp(max=100)
        with torch.autocast(image_embeds.device.type, enabled=False):  # cosine similarities need full precision
            logits = scale * text_embeds @ image_embeds.T
            of_kinds, of_places = (scale * image_embeds @ name_embeds.T).split([len(KINDS), len(PLACES)], dim=1)
        match = torch.arange(len(logits), device=logits.device)
        losses = [
            (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2,
            masked_cross_entropy(of_kinds, batch["kind"]),
            F.cross_entropy(of_places, batch["place"]),
        ]
        covers = batch["covers"].long()
        for hidden, suffix in ((vision.last_hidden_state, ""), (vision.hidden_states[-2], "_before")):
            for i, name in enumerate(("kind", "colour")):
                predicted = heads[f"{name}{suffix}"](hidden[:, 1:]).float()
                losses.append(F.cross_entropy(predicted.flatten(0, 1), covers[:, i].flatten()))
        for name in ("place", "style"):
            losses.append(F.cross_entropy(heads[name](vision.pooler_output).float(), batch[name]))
        return torch.stack(losses).sum()

    def export(self, modules: nn.Module, folder: Path) -> None:
        save_half(modules["clip"], folder)
        new_processor(self.tokenizer).save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules["clip"].load_state_dict(CLIPModel.from_pretrained(folder).float().state_dict())
