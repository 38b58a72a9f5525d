"""ViLT, the VQA specialist: patches and question in one transformer, an answer out of a closed set.

After Kim et al. 2021 (arXiv:2102.03334). The layers start as those of CLIP's vision tower, so that the pictures are
understood from the first step on; what is left to learn is to let the question look at the picture.

The loss of ViLT's VQA head is a binary cross-entropy an answer, which makes each score a probability of its own. For a
question that has no answer (a thing that is not there, or another world) all answers are to get a low score. The plain
cross-entropy beside it sorts the answers faster. As in CLIP's training the patch tokens must tell what covers them.
And each word of the question that names a kind must look it up (see `course.train.labels.LookUp`).
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
from course.train.labels import LookUp, known_loss, word_labels
from course.train.loop import Plan, Recipe, save_half
from course.train.tokenizer import kept_tokenizer
from course.train.vision import copy_linear, entry_without_norm
from helpers.picturebook import COLOURS, KINDS, PLACES, SIZES, STYLES, Scene, questions
from helpers.picturebook.scene import MAX_THINGS, Rng, pick
from helpers.picturebook.words import SINGULARS

ANSWERS = (*KINDS, *COLOURS, *SIZES, *PLACES, *STYLES, *map(str, range(1, MAX_THINGS + 1)), "yes", "no")
MAX_TOKENS = 40
LONGEST_ASKED = 32
"""Training questions are padded to so many tokens; longer ones are rare and cut."""
UNANSWERABLE = 0.08
"""Share of questions that have no right answer."""


def new_tokenizer() -> BertTokenizer:
    """Word pieces: every word that questions of the world use, and all letters, so that any word can be spelt."""
    words: Counter[str] = Counter()
    for i, scene in enumerate(fresh_scenes(6000, seed=2)):
        rng = np.random.default_rng((2, i))
        for question, answer in questions(scene, rng):
            text = f"{reworded(question, rng)} {answer}".lower()
            words.update("".join(c if c.isalnum() else f" {c} " for c in text).split())
    signs = [*"abcdefghijklmnopqrstuvwxyz0123456789", *".,?!'\"-:;()/&+"]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*specials, *signs, *(f"##{sign}" for sign in signs if sign.isalnum()), *sorted(words)]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizer(vocab=vocab, model_max_length=MAX_TOKENS)


def new_processor(tokenizer: BertTokenizer) -> ViltProcessor:
    """Pictures are resized to 128 × 128 and scaled to -1 … 1."""
    images = ViltImageProcessorPil(
        size={"shortest_edge": 128}, size_divisor=16, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return ViltProcessor(images, tokenizer)


def new_vilt(vision: CLIPVisionModel, tokenizer: BertTokenizer, pixels: torch.Tensor) -> ViltForQuestionAnswering:
    """A ViLT whose image side is the vision tower; `pixels` (n, 3, 128, 128) are any pictures, to set a scale by."""
    eyes = vision.config
    vilt = ViltForQuestionAnswering(
        ViltConfig(
            vocab_size=len(tokenizer),
            hidden_size=eyes.hidden_size,
            num_hidden_layers=eyes.num_hidden_layers,
            num_attention_heads=eyes.num_attention_heads,
            intermediate_size=eyes.intermediate_size,
            image_size=eyes.image_size,
            patch_size=eyes.patch_size,
            max_position_embeddings=MAX_TOKENS,
            layer_norm_eps=eyes.layer_norm_eps,
            id2label=dict(enumerate(ANSWERS)),
            label2id={answer: i for i, answer in enumerate(ANSWERS)},
        )
    )
    entry, embeddings = entry_without_norm(vision, pixels), vilt.vilt.embeddings
    with torch.no_grad():
        embeddings.patch_embeddings.projection.weight.copy_(entry["patch.weight"])
        embeddings.patch_embeddings.projection.bias.copy_(entry["patch.bias"])
        embeddings.cls_token.copy_(entry["class"])
        embeddings.position_embeddings.copy_(entry["position"])
        embeddings.token_type_embeddings.weight[1].zero_()
        vilt.classifier[-1].bias.fill_(-np.log(len(ANSWERS)))  # no answer is likely before anything is learnt
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
    """A question about the scene with its answer; None where there is no answer."""
    if rng.random() >= UNANSWERABLE:
        question, answer = pick(rng, questions(scene, rng))
        return as_typed(reworded(question, rng), rng), answer
    if rng.random() < 0.5:
        return strange_request(rng), None
    absent = pick(rng, [kind for kind in KINDS if kind not in {thing.kind for thing in scene.things}])
    return as_typed(pick(rng, (f"What colour is the {absent}?", f"Is the {absent} large or small?")), rng), None


class VQABatches(Batches):
    """Pictures, a question about each and its answer."""

    def __init__(self, tokenizer: BertTokenizer):
        self.tokenizer = tokenizer
        self.named = {tokenizer.convert_tokens_to_ids(word): kind for word, kind in SINGULARS.items()}

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        scenes = [drawing.scene for drawing in drawings]
        asked, answers = zip(*(ask_something(scene, rng) for scene in scenes), strict=True)
        tokens = self.tokenizer(
            list(asked), padding="max_length", truncation=True, max_length=LONGEST_ASKED, return_tensors="pt"
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
        self.tokenizer = kept_tokenizer(BertTokenizer, exported) or new_tokenizer()
        self.batches = VQABatches(self.tokenizer)
        vision = CLIPModel.from_pretrained(clip).float().vision_model
        some = stacked([drawn(scene) for scene in fresh_scenes(64, seed=6)])
        vilt = new_vilt(vision, self.tokenizer, to_pixels(some))
        heads = {
            "kind": nn.Linear(vilt.config.hidden_size, len(KINDS) + 1),
            "colour": nn.Linear(vilt.config.hidden_size, len(COLOURS) + 1),
            "look_up": LookUp(vilt.config.hidden_size),
        }
        self.modules = nn.ModuleDict({"vilt": vilt, "heads": nn.ModuleDict(heads)})

    def _image_embeds(self, pixels: torch.Tensor) -> torch.Tensor:
        """What ViLT's own `visual_embed` gives for pictures of the full size, without shuffling the patches."""
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
        scored = F.binary_cross_entropy_with_logits(logits, targets) * len(ANSWERS)
        sorted_out = known_loss(logits, answer)

        hidden = output.hidden_states[-1]
        covers = batch["covers"].long()
        covered = sum(
            F.cross_entropy(heads[name](hidden[:, -GRID * GRID :]).float().flatten(0, 1), covers[:, i].flatten())
            for i, name in enumerate(("kind", "colour"))
        )
        return scored + sorted_out + covered + heads["look_up"](hidden[:, : batch["ids"].shape[1]], batch["named"])

    def export(self, modules: nn.Module, folder: Path) -> None:
        save_half(modules["vilt"], folder)
        new_processor(self.tokenizer).save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules["vilt"].load_state_dict(ViltForQuestionAnswering.from_pretrained(folder).float().state_dict())
