"""CLIP: pictures and captions in one space of 512 dimensions (Radford et al. 2021, arXiv:2103.00020).

The text encoder comes trained and stays as it is (see `text`); what is learnt here is the vision tower, the two
projections and the temperature, by CLIP's own loss: symmetric cross-entropy over the similarities of a batch.

Short captions, "a cat" or "in the snow", fit many pictures of a batch at once, so each step asks for them apart: which
of all kinds, which of all places is it?

A helper, dropped afterwards, makes thousands of pictures do the work of millions, because in a drawn world the right
answers are known: each patch token must tell which kind and colour of thing covers it, the class token place and style.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTextModel, CLIPTokenizer

from course.data import Pictures, to_pixels
from course.train.labels import GRID, cover_labels
from course.train.loop import Recipe, save_half
from course.train.text import WIDTH, tokenize, training_caption
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES, Scene, with_article
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
    """A CLIP with this text encoder, locked, and an untrained vision tower."""
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "image_size": IMAGE_SIZE,
        "patch_size": IMAGE_SIZE // GRID,
        "hidden_act": "gelu",  # one fused operation; CLIP's usual quick_gelu takes a quarter of a training step on a CPU
    }
    text = text_encoder.config.to_dict() | {"_name_or_path": ""}  # not the path of this machine
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=EMBEDDING)
    clip = CLIPModel(config)
    clip.text_model.load_state_dict(text_encoder.state_dict())
    clip.text_model.requires_grad_(False)
    return clip


def new_processor(tokenizer: CLIPTokenizer) -> CLIPProcessor:
    """The processor: pictures are resized to 128 × 128 and scaled to -1 … 1."""
    images = CLIPImageProcessor(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        do_center_crop=False,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    return CLIPProcessor(images, tokenizer)


class CLIPRecipe(Recipe):
    name = "clip"
    total_steps = 1300
    batch_size = 96
    learning_rate = 3e-3
    weight_decay = 0.02
    warmup_steps = 100

    def __init__(self, data: Pictures, diffusion: Path):
        torch.manual_seed(self.seed)
        self.data = data
        self.tokenizer = CLIPTokenizer.from_pretrained(diffusion / "tokenizer")
        text_encoder = CLIPTextModel.from_pretrained(diffusion / "text_encoder").float()
        heads = {
            "kind": nn.Linear(WIDTH, len(KINDS) + 1),
            "colour": nn.Linear(WIDTH, len(COLOURS) + 1),
            "place": nn.Linear(WIDTH, len(PLACES)),
            "style": nn.Linear(WIDTH, len(STYLES)),
        }
        self.modules = nn.ModuleDict({"clip": new_clip(text_encoder), "heads": nn.ModuleDict(heads)})

    def loss(self, step: int, rng: np.random.Generator) -> torch.Tensor:
        clip, heads = self.modules["clip"], self.modules["heads"]
        rows = rng.choice(len(self.data), size=self.batch_size, replace=False)
        scenes = [self.data.scenes[row] for row in rows]
        captions = [training_caption(scene, rng)[0] for scene in scenes]
        vision = clip.vision_model(pixel_values=to_pixels(np.stack([self.data.pixels[row] for row in rows])))
        with torch.no_grad():
            text = clip.text_model(**tokenize(self.tokenizer, captions)).pooler_output

        image_embeds = F.normalize(clip.visual_projection(vision.pooler_output), dim=-1)
        text_embeds = F.normalize(clip.text_projection(text), dim=-1)
        scale = clip.logit_scale.exp().clamp(max=100)
        logits = scale * text_embeds @ image_embeds.T
        match = torch.arange(len(rows))
        contrastive = (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2

        covers = torch.from_numpy(np.stack([cover_labels(scene) for scene in scenes]))
        patches = vision.last_hidden_state[:, 1:]
        asked = [
            F.cross_entropy(heads["kind"](patches).flatten(0, 1), covers[:, 0].flatten()),
            F.cross_entropy(heads["colour"](patches).flatten(0, 1), covers[:, 1].flatten()),
        ]
        for name, words in {"place": PLACES, "style": STYLES}.items():
            label = torch.tensor([words.index(getattr(scene, name)) for scene in scenes])
            asked.append(F.cross_entropy(heads[name](vision.pooler_output), label))
        return contrastive + self._named(image_embeds, scale, scenes, rng) + torch.stack(asked).sum()

    def _named(
        self, image_embeds: torch.Tensor, scale: torch.Tensor, scenes: list[Scene], rng: np.random.Generator
    ) -> torch.Tensor:
        """Cross-entropy over the short captions of all kinds (for pictures of one kind) and of all places."""
        template = pick(rng, SHORT_CAPTIONS)
        kinds = [template.format(kind=kind, a_kind=with_article(kind)) for kind in KINDS]
        places = [pick(rng, PLACE_PHRASES[place]) for place in PLACES]
        with torch.no_grad():
            text = self.modules["clip"].text_model(**tokenize(self.tokenizer, kinds + places)).pooler_output
        names = F.normalize(self.modules["clip"].text_projection(text), dim=-1)
        of_kinds, of_places = (scale * image_embeds @ names.T).split([len(kinds), len(places)], dim=1)
        alone = torch.tensor([len(scene.things) == 1 for scene in scenes])
        kind = torch.tensor([KINDS.index(scene.things[0].kind) for scene in scenes])
        place = torch.tensor([PLACES.index(scene.place) for scene in scenes])
        return F.cross_entropy(of_kinds[alone], kind[alone]) + F.cross_entropy(of_places, place)

    def export(self, modules: nn.Module, folder: Path) -> None:
        save_half(modules["clip"], folder)
        new_processor(self.tokenizer).save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules["clip"].load_state_dict(CLIPModel.from_pretrained(folder).float().state_dict())
