"""ViLT, the VQA specialist: patches and question in one transformer, an answer from a closed set.

After Kim et al. 2021 (arXiv:2102.03334). The layers start as those of CLIP's vision tower, so that pictures are
understood from the first step on; it remains to learn how the question attends to the picture.

The loss of ViLT's VQA head is one binary cross-entropy per answer, which makes each score an independent probability.
For a question without an answer (about an absent thing, or another world) all answers should score low. An additional
cross-entropy ranks the answers faster. As in CLIP's training, the patch tokens must predict what covers them. And the
tokens of the question that name a kind must predict its attributes (see `course.train.labels.AttributeHead`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertTokenizer, CLIPModel, CLIPVisionModel, ViltConfig, ViltForQuestionAnswering, ViltProcessor
from transformers.models.vilt import ViltImageProcessorPil

from course.data import Batch, Batches, Drawing, drawn, fresh_scenes, stacked, to_pixels
from course.labels import GRID, IGNORE
from course.talk.chatter import strange_request
from course.talk.wording import as_typed, reworded
from course.train.labels import AttributeHead, masked_cross_entropy, word_labels
from course.train.loop import Plan, Recipe, save_half
from course.train.tokenizer import load_exported_tokenizer
from course.train.vision import copy_linear, fold_pre_layernorm, shared_settings
from helpers.picturebook import COLOURS, KINDS, PLACES, SIZES, STYLES, Scene, questions
from helpers.picturebook.scene import MAX_THINGS, Rng, pick
from helpers.picturebook.words import SINGULARS

ANSWERS = (*KINDS, *COLOURS, *SIZES, *PLACES, *STYLES, *map(str, range(1, MAX_THINGS + 1)), "yes", "no")
MAX_TOKENS = 40
QUESTION_TOKENS = 32
"""Training questions are padded to this length; longer ones are rare, and truncated."""
UNANSWERABLE = 0.08
"""Fraction of questions without a right answer."""


def new_tokenizer() -> BertTokenizer:
    """Create a WordPiece tokenizer with every word of the world's questions, and all letters to spell other words."""
    words: Counter[str] = Counter()
    for i, scene in enumerate(fresh_scenes(6000, seed=2)):
        rng = np.random.default_rng((2, i))
        for question, answer in questions(scene, rng):
            text = f"{reworded(question, rng)} {answer}".lower()
            words.update("".join(c if c.isalnum() else f" {c} " for c in text).split())
    characters = [*"abcdefghijklmnopqrstuvwxyz0123456789", *".,?!'\"-:;()/&+"]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*specials, *characters, *(f"##{c}" for c in characters if c.isalnum()), *sorted(words)]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizer(vocab=vocab, model_max_length=MAX_TOKENS)


def new_processor(tokenizer: BertTokenizer) -> ViltProcessor:
    """Create the processor: pictures are resized to 128 × 128 and scaled to -1 … 1."""
    images = ViltImageProcessorPil(
        size={"shortest_edge": 128}, size_divisor=16, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return ViltProcessor(images, tokenizer)


def new_vilt(vision: CLIPVisionModel, tokenizer: BertTokenizer, pixels: torch.Tensor) -> ViltForQuestionAnswering:
    """Create a ViLT from CLIP's vision tower; `pixels` (n, 3, 128, 128) are any pictures, to calibrate a scale."""
    vilt = ViltForQuestionAnswering(
        ViltConfig(
            vocab_size=len(tokenizer),
            **shared_settings(vision.config),
            max_position_embeddings=MAX_TOKENS,
            id2label=dict(enumerate(ANSWERS)),
            label2id={answer: i for i, answer in enumerate(ANSWERS)},
        )
    )
    folded, embeddings = fold_pre_layernorm(vision, pixels), vilt.vilt.embeddings
    with torch.no_grad():
        embeddings.patch_embeddings.projection.weight.copy_(folded["patch.weight"])
        embeddings.patch_embeddings.projection.bias.copy_(folded["patch.bias"])
        embeddings.cls_token.copy_(folded["class"])
        embeddings.position_embeddings.copy_(folded["position"])
        embeddings.token_type_embeddings.weight[1].zero_()
        vilt.classifier[-1].bias.fill_(-np.log(len(ANSWERS)))  # at first no answer is likely
    for layer, source in zip(vilt.vilt.encoder.layer, vision.encoder.layers, strict=True):
        layer.layernorm_before.load_state_dict(source.layer_norm1.state_dict())
        layer.layernorm_after.load_state_dict(source.layer_norm2.state_dict())
        for name, part in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
            copy_linear(getattr(layer.attention.attention, name), getattr(source.self_attn, part))
        copy_linear(layer.attention.output.dense, source.self_attn.out_proj)
        copy_linear(layer.intermediate.dense, source.mlp.fc1)
        copy_linear(layer.output.dense, source.mlp.fc2)
    return vilt


def ask_something(scene: Scene, rng: Rng) -> tuple[str, str | None]:
    """Return a question about the scene and its answer, None if it has no answer."""
    if rng.random() >= UNANSWERABLE:
        question, answer = pick(rng, questions(scene, rng))
        return as_typed(reworded(question, rng), rng), answer
    if rng.random() < 0.5:
        return strange_request(rng), None
    absent = pick(rng, [kind for kind in KINDS if kind not in {thing.kind for thing in scene.things}])
    return as_typed(pick(rng, (f"What colour is the {absent}?", f"Is the {absent} large or small?")), rng), None


class VQABatches(Batches):
    """Pictures with a question about each and its answer."""

    def __init__(self, tokenizer: BertTokenizer):
        self.tokenizer = tokenizer
        self.named = {tokenizer.convert_tokens_to_ids(word): kind for word, kind in SINGULARS.items()}

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        scenes = [drawing.scene for drawing in drawings]
        asked, answers = zip(*(ask_something(scene, rng) for scene in scenes), strict=True)
        tokens = self.tokenizer(
            list(asked), padding="max_length", truncation=True, max_length=QUESTION_TOKENS, return_tensors="pt"
        )
        return {
            "pixels": stacked(drawings),
            "ids": tokens["input_ids"],
            "mask": tokens["attention_mask"],
            "answer": torch.tensor([IGNORE if answer is None else ANSWERS.index(answer) for answer in answers]),
            "covers": stacked(drawings, "covers"),
            "named": word_labels(tokens["input_ids"], self.named, scenes),
        }


class VQARecipe(Recipe):
    name = "vqa"
    cpu = Plan(batch_size=64, learning_rate=2e-3, samples=300_000)
    gpu = Plan(batch_size=384, learning_rate=2e-3, samples=600_000)
    weight_decay = 0.02

    def __init__(self, clip: Path, exported: Path | None = None):
        torch.manual_seed(self.seed)
        self.tokenizer = load_exported_tokenizer(BertTokenizer, exported) or new_tokenizer()
        self.batches = VQABatches(self.tokenizer)
        vision = CLIPModel.from_pretrained(clip).float().vision_model
        some = stacked([drawn(scene) for scene in fresh_scenes(64, seed=6)])
        vilt = new_vilt(vision, self.tokenizer, to_pixels(some))
        heads = {
            "kind": nn.Linear(vilt.config.hidden_size, len(KINDS) + 1),
            "colour": nn.Linear(vilt.config.hidden_size, len(COLOURS) + 1),
            "look_up": AttributeHead(vilt.config.hidden_size),
        }
        self.modules = nn.ModuleDict({"vilt": vilt, "heads": nn.ModuleDict(heads)})

    def _image_embeds(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what ViLT's own `visual_embed` would for full-size pictures, without shuffling the patches."""
        embeddings = self.modules["vilt"].vilt.embeddings
        patches = embeddings.patch_embeddings(pixels).flatten(2).mT
        return (
            torch.cat([embeddings.cls_token.expand(len(pixels), -1, -1), patches], 1) + embeddings.position_embeddings
        )

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        heads = self.modules["heads"]
        embeds = self._image_embeds(to_pixels(batch["pixels"]))
        output = self.modules["vilt"](
            input_ids=batch["ids"],
            attention_mask=batch["mask"],
            image_embeds=embeds,
            pixel_mask=torch.ones(embeds.shape[:2], device=embeds.device),
            output_hidden_states=True,
        )
        logits, answer = output.logits.float(), batch["answer"]
        targets = F.one_hot(answer.clamp(min=0), len(ANSWERS)).float() * (answer != IGNORE)[:, None]
        binary = F.binary_cross_entropy_with_logits(logits, targets) * len(ANSWERS)
        categorical = masked_cross_entropy(logits, answer)

        hidden = output.hidden_states[-1]
        covers = batch["covers"].long()
        segmentation = sum(
            F.cross_entropy(heads[name](hidden[:, -GRID * GRID :]).float().flatten(0, 1), covers[:, i].flatten())
            for i, name in enumerate(("kind", "colour"))
        )
        return (
            binary + categorical + segmentation + heads["look_up"](hidden[:, : batch["ids"].shape[1]], batch["named"])
        )

    def export(self, modules: nn.Module, folder: Path) -> None:
        save_half(modules["vilt"], folder)
        new_processor(self.tokenizer).save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules["vilt"].load_state_dict(ViltForQuestionAnswering.from_pretrained(folder).float().state_dict())
