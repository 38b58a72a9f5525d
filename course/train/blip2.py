"""BLIP-2 (Li et al. 2023, arXiv:2301.12597): a Q-Former between a frozen vision model and a language model.

The vision model starts as CLIP's vision tower and stays frozen. In the Q-Former, sixteen learnt queries attend to its
65 vectors; a linear layer turns the results into 16 soft prompts, which an OPT (Zhang et al. 2022, arXiv:2205.01068)
continues. Three stages, one after the other:

1. *language*: only the OPT, with a caption in place of each picture;
2. *representation*: only the Q-Former; some of its queries must predict what is in the picture, similar to BLIP-2's
   first stage, where they must match it with its text;
3. *generation*: Q-Former, projection and OPT, on captions and answers. (The paper's OPT is frozen here; ours is small
   enough to train, too.) In the middle of the OPT, tokens that name a kind must predict its attributes, as in ViLT's
   training (see `course.train.labels.AttributeHead`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken
from torch import nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    CLIPModel,
    GPT2Tokenizer,
    OPTConfig,
)
from transformers.models.blip import BlipImageProcessorPil

from course.data import Batch, Batches, Drawing, drawn, fresh_scenes, mixed_scene, stacked, to_pixels
from course.labels import IGNORE
from course.talk.follow_ups import follow_up
from course.talk.template import Tokens
from course.talk.wording import plain_caption, reworded
from course.train.labels import AttributeHead, word_labels
from course.train.language import groups, order_by_length, padded, reply_loss
from course.train.loop import Plan, Recipe, save_half
from course.train.text import WIDTH, heads_loss, label_rows, new_heads
from course.train.tokenizer import load_exported_tokenizer, train_byte_level
from course.train.vision import copy_linear, fold_pre_layernorm, shared_settings
from helpers.picturebook import Scene, as_seen, describe, questions
from helpers.picturebook.scene import Rng, pick
from helpers.picturebook.words import SINGULARS

EOS, PAD, IMAGE = "</s>", "<pad>", "<image>"
VOCABULARY = 900
QUERIES = 16
LANGUAGE_UNTIL, REPRESENTATION_UNTIL = 0.08, 0.2
"""Fractions of the training at which the second and the third stage start."""
GROUPS = 4
MIDDLE = 2
"""The OPT layer, of four, for the `AttributeHead`: later tokens can use what it found in the layers above."""
CAPTION_PROMPTS = (EOS, EOS, "a picture of", "a photo of", "This is")
"""Prefixes of captions; `</s>` is OPT's start token, and what BLIP-2 uses without a text prompt."""


def new_tokenizer() -> GPT2Tokenizer:
    """Train a byte-level BPE on captions, questions and answers."""
    texts = []
    for i, scene in enumerate(fresh_scenes(6000, seed=5)):
        rng = np.random.default_rng((5, i))
        pairs = [*questions(scene, rng)[:4], *(follow_up(scene, rng) or ())]
        texts += [describe(scene, rng), *(f"Question: {q} Answer: {a}." for q, a in pairs)]
    tokens = {"bos_token": EOS, "eos_token": EOS, "pad_token": PAD, "unk_token": EOS}
    tokenizer = train_byte_level(
        texts, vocab_size=VOCABULARY, specials=[PAD, EOS, IMAGE], **tokens, model_max_length=512
    )
    tokenizer.add_tokens([AddedToken(IMAGE, normalized=False, special=True)], special_tokens=True)
    return tokenizer


def new_blip2(clip: CLIPModel, tokenizer: GPT2Tokenizer, pixels: torch.Tensor) -> Blip2ForConditionalGeneration:
    """Create a BLIP-2 with CLIP's vision tower; `pixels` (n, 3, 128, 128) are any pictures, to calibrate a scale."""
    blip = Blip2ForConditionalGeneration(
        Blip2Config(
            vision_config=Blip2VisionConfig(**shared_settings(clip.config.vision_config)),
            qformer_config=Blip2QFormerConfig(
                vocab_size=1,  # ours reads no text
                hidden_size=WIDTH,
                num_hidden_layers=4,
                num_attention_heads=6,
                intermediate_size=4 * WIDTH,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                max_position_embeddings=QUERIES,
                cross_attention_frequency=1,
                encoder_hidden_size=clip.config.vision_config.hidden_size,
            ),
            text_config=OPTConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                word_embed_proj_dim=WIDTH,
                ffn_dim=4 * WIDTH,
                num_hidden_layers=4,
                num_attention_heads=6,
                max_position_embeddings=512,
                dropout=0.0,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            ),
            num_query_tokens=QUERIES,
            image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        )
    )
    nn.init.normal_(blip.query_tokens, std=0.5)  # queries that start equal stay equal
    _init_vision_from_clip(blip, clip, pixels)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(blip.generation_config, name, getattr(tokenizer, name))
        setattr(blip.language_model.generation_config, name, getattr(tokenizer, name))
    return blip


def _init_vision_from_clip(blip: Blip2ForConditionalGeneration, clip: CLIPModel, pixels: torch.Tensor) -> None:
    vision, source = blip.vision_model, clip.vision_model
    folded = fold_pre_layernorm(source, pixels)
    with torch.no_grad():
        vision.embeddings.patch_embedding.weight.copy_(folded["patch.weight"])
        vision.embeddings.patch_embedding.bias.copy_(folded["patch.bias"])
        vision.embeddings.class_embedding.copy_(folded["class"])
        vision.embeddings.position_embedding.copy_(folded["position"])
    vision.post_layernorm.load_state_dict(source.post_layernorm.state_dict())
    for layer, old in zip(vision.encoder.layers, source.encoder.layers, strict=True):
        for norm in ("layer_norm1", "layer_norm2"):
            getattr(layer, norm).load_state_dict(getattr(old, norm).state_dict())
        copy_linear(layer.self_attn.qkv, old.self_attn.q_proj, old.self_attn.k_proj, old.self_attn.v_proj)
        copy_linear(layer.self_attn.projection, old.self_attn.out_proj)
        copy_linear(layer.mlp.fc1, old.mlp.fc1)
        copy_linear(layer.mlp.fc2, old.mlp.fc2)


def new_processor(tokenizer: GPT2Tokenizer) -> Blip2Processor:
    """Create the processor: pictures are resized to 128 × 128 and scaled to -1 … 1."""
    images = BlipImageProcessorPil(size={"height": 128, "width": 128}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return Blip2Processor(images, tokenizer, num_query_tokens=QUERIES)


def prompt_and_reply(scene: Scene, rng: Rng) -> tuple[str, str]:
    """Return BLIP-2's prompt after the picture, and the reply: a caption, or an answer, perhaps after others."""
    if rng.random() < 0.3:
        start = pick(rng, CAPTION_PROMPTS)
        caption = plain_caption(as_seen(scene))
        return start, caption if start == EOS else f" {caption}"
    memory: list[tuple[str, str]] = []
    pair = follow_up(scene, rng) if rng.random() < 0.4 else None
    if pair:
        memory.append(pair[0])
        question, answer = pair[1]
    else:
        question, answer = pick(rng, questions(scene, rng))
    while rng.random() < 0.3:
        memory.insert(0, pick(rng, questions(scene, rng)))
    earlier = "".join(f"Question: {reworded(q, rng)} Answer: {a}. " for q, a in memory)
    return f"{earlier}Question: {question if pair else reworded(question, rng)} Answer:", f" {answer}"


def stage(progress: float) -> str:
    """Return the stage of the training at this progress."""
    if progress < LANGUAGE_UNTIL:
        return "language"
    return "representation" if progress < REPRESENTATION_UNTIL else "generation"


class Blip2Batches(Batches):
    """Pictures, their labels, and prompts with replies; at first with a caption in place of each picture."""

    def __init__(self, tokenizer: GPT2Tokenizer):
        self.tokenizer = tokenizer
        self.named = {tokenizer.convert_tokens_to_ids(f"Ġ{word}"): kind for word, kind in SINGULARS.items()}

    def fresh(self, rng: Rng, progress: float) -> Drawing:
        return drawn(mixed_scene(rng))

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        current = stage(progress)
        labelled = {"attributes": label_rows([d.scene for d in drawings], [True] * size), "pixels": stacked(drawings)}
        if current == "representation":
            return labelled
        seen = current == "generation"
        texts = [self._encode(d.scene, rng, None if seen else f"{describe(d.scene, rng)}. ") for d in drawings]
        order = order_by_length(texts)
        batch = padded([texts[i] for i in order], self.tokenizer.pad_token_id)
        if not seen:
            return batch
        named = word_labels(batch["ids"], self.named, [drawings[i].scene for i in order])
        return {**batch, "named": named, **{name: values[order] for name, values in labelled.items()}}

    def _encode(self, scene: Scene, rng: Rng, caption: str | None) -> Tokens:
        prompt, reply = prompt_and_reply(scene, rng)
        shown = IMAGE * QUERIES if caption is None else caption
        before = self.tokenizer(shown + prompt, add_special_tokens=False)["input_ids"]
        after = self.tokenizer(reply + EOS, add_special_tokens=False)["input_ids"]
        return Tokens(before + after, [False] * len(before) + [True] * len(after))


class Blip2Recipe(Recipe):
    name = "blip2"
    cpu = Plan(batch_size=64, learning_rate=2e-3, samples=400_000)
    gpu = Plan(batch_size=160, learning_rate=2e-3, samples=500_000)
    weight_decay = 0.02

    def __init__(self, clip: Path, exported: Path | None = None):
        torch.manual_seed(self.seed)
        self.tokenizer = load_exported_tokenizer(GPT2Tokenizer, exported) or new_tokenizer()
        pictures = stacked([drawn(scene) for scene in fresh_scenes(64, seed=6)])
        blip = new_blip2(CLIPModel.from_pretrained(clip).float(), self.tokenizer, to_pixels(pictures))
        blip.vision_model.requires_grad_(False)
        self.batches = Blip2Batches(self.tokenizer)
        self.modules = nn.ModuleDict({"blip": blip, "heads": new_heads(), "look_up": AttributeHead(WIDTH)})

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        if "pixels" not in batch:
            return self._reply_loss(batch)
        queries = self._queries(to_pixels(batch["pixels"]))
        logits = {name: head(queries[:, _query_of(name)]) for name, head in self.modules["heads"].items()}
        representation = heads_loss(logits, batch["attributes"])
        if "ids" not in batch:
            return representation
        soft_prompts = self.modules["blip"].language_projection(queries)
        return self._reply_loss({**batch, "soft_prompts": soft_prompts}) + 0.5 * representation

    def _queries(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the query outputs, (n, 16, 192)."""
        blip = self.modules["blip"]
        with torch.no_grad():
            seen = blip.vision_model(pixels).last_hidden_state
        return blip.qformer(
            query_embeds=blip.query_tokens.expand(len(pixels), -1, -1), encoder_hidden_states=seen
        ).last_hidden_state

    def _reply_loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean loss per token of each reply, with soft prompts plus that of the attribute head.

        Every reply counts the same, however long: otherwise captions of fifteen tokens would outweigh a "yes".
        """
        model = self.modules["blip"].language_model
        losses, attribute_losses = [], []
        for group in groups(batch, -(-len(batch["ids"]) // GROUPS)):
            embeds = model.get_input_embeddings()(group["ids"])
            if "soft_prompts" in group:
                embeds = torch.cat([group["soft_prompts"].to(embeds.dtype), embeds[:, QUERIES:]], 1)
            states = model.model(
                inputs_embeds=embeds, attention_mask=group["mask"], use_cache=False, output_hidden_states=True
            )
            lengths = (group["labels"] != IGNORE).sum(1)
            losses.append(reply_loss(states.last_hidden_state, group["labels"], model.lm_head) / lengths)
            if "soft_prompts" in group:
                attribute_losses.append(self.modules["look_up"](states.hidden_states[MIDDLE], group["named"]))
        loss = torch.cat(losses).mean()
        return loss + torch.stack(attribute_losses).mean() if attribute_losses else loss

    def export(self, modules: nn.Module, folder: Path) -> None:
        save_half(modules["blip"], folder)
        new_processor(self.tokenizer).save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules["blip"].load_state_dict(Blip2ForConditionalGeneration.from_pretrained(folder).float().state_dict())


def _query_of(head: str) -> int:
    """Return the query that a head of `new_heads` reads: three per thing, one each for relation, place and style."""
    whole = {"relation": 12, "place": 13, "style": 14}
    if head in whole:
        return whole[head]
    slot, name = head.split("_")
    return 3 * int(slot) + {"kind": 0, "colour": 0, "size": 1, "count": 2}[name]
