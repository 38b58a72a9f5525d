"""The chat model, after LLaVA (Liu et al. 2023, arXiv:2304.08485; the two-layer projector: arXiv:2310.03744).

CLIP's vision tower, frozen, gives 64 patch vectors per picture; a projector of two linear layers turns them into image
tokens; a small Llama reads these among the text tokens and answers. Three stages, one after the other:

1. *language*: only the Llama, on all dialogues, with a caption in place of each picture;
2. *projector*: only the projector, with the Llama frozen: pictures start to read like captions;
3. *instructions*: both together, on all tasks.

The loss is computed on the assistant's tokens only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import (
    CLIPImageProcessor,
    CLIPModel,
    GPT2Tokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from course.data import Batch, Batches, Drawing, drawn, mixed_scene, stacked, to_pixels
from course.talk.dialogues import random_dialogue
from course.talk.template import BOS, CHAT_TEMPLATE, EOS, IMAGE, PAD, encode, tokenizer_texts
from course.train.labels import AttributeHead, word_labels
from course.train.language import groups, order_by_length, padded, reply_loss
from course.train.loop import Plan, Recipe, save_half
from course.train.tokenizer import load_exported_tokenizer, train_byte_level
from helpers.picturebook import describe
from helpers.picturebook.scene import Rng
from helpers.picturebook.words import SINGULARS

VOCABULARY = 1600
LANGUAGE_UNTIL, PROJECTOR_UNTIL = 0.12, 0.18
"""Fractions of the training at which the second and the third stage start."""
WITH_PICTURE = 0.55
"""Fraction of the third stage's batches that are about pictures."""
FEATURE_LAYER = -2
MIDDLE = 3
"""The Llama layer, of six, for the `AttributeHead`: later tokens can use what it found in the layers above."""
GROUPS = 4


def new_tokenizer() -> GPT2Tokenizer:
    """Train a byte-level BPE on dialogues of all tasks."""
    tokens = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD, "unk_token": PAD}
    return train_byte_level(
        tokenizer_texts(),
        vocab_size=VOCABULARY,
        specials=[PAD, BOS, EOS, IMAGE],
        **tokens,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=1024,
    )


def new_llama(tokenizer: GPT2Tokenizer) -> LlamaForCausalLM:
    """Create the untrained language model."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=6,
            num_attention_heads=6,
            num_key_value_heads=6,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def new_llava(clip: CLIPModel, llama: LlamaForCausalLM, tokenizer: GPT2Tokenizer) -> LlavaForConditionalGeneration:
    """Create the whole model: this CLIP's vision tower and this Llama, with an untrained projector between them."""
    llava = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=clip.config.vision_config,
            text_config=llama.config,
            image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
            vision_feature_layer=FEATURE_LAYER,
            vision_feature_select_strategy="default",
            image_seq_length=clip.vision_model.embeddings.num_patches,
            tie_word_embeddings=True,
        )
    )
    llava.model.vision_tower.load_state_dict(clip.vision_model.state_dict())
    llava.model.language_model.load_state_dict(llama.model.state_dict())
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(llava.generation_config, name, getattr(tokenizer, name))
    return llava


def new_processor(tokenizer: GPT2Tokenizer, images: CLIPImageProcessor, patch_size: int) -> LlavaProcessor:
    """Create the processor, with the chat template."""
    return LlavaProcessor(
        images,
        tokenizer,
        patch_size=patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the class token, which "default" drops again
        chat_template=CHAT_TEMPLATE,
    )


def stage(progress: float) -> str:
    """Return the stage of the training at this progress."""
    if progress < LANGUAGE_UNTIL:
        return "language"
    return "projector" if progress < PROJECTOR_UNTIL else "instructions"


class ChatBatches(Batches):
    """Dialogues about pictures, about captions in place of pictures, and without a picture."""

    def __init__(self, tokenizer: GPT2Tokenizer, image_tokens: int):
        self.tokenizer, self.image = tokenizer, IMAGE * image_tokens
        ids = {tokenizer.convert_tokens_to_ids(f"Ġ{word}"): kind for word, kind in SINGULARS.items()}
        self.named = {i: kind for i, kind in ids.items() if i != tokenizer.unk_token_id}

    def fresh(self, rng: Rng, progress: float) -> Drawing:
        return drawn(mixed_scene(rng))

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        current = stage(progress)
        if current == "language":
            texts = [self._without_picture(d, rng, captioned=i % 3 > 0) for i, d in enumerate(drawings)]
        elif current == "instructions" and rng.random() > WITH_PICTURE:
            texts = [self._without_picture(d, rng, captioned=False) for d in drawings]
        else:
            texts = [encode(random_dialogue(rng, d.scene), self.tokenizer, image=self.image) for d in drawings]
            order = order_by_length(texts)
            batch = padded([texts[i] for i in order], self.tokenizer.pad_token_id)
            named = word_labels(batch["ids"], self.named, [drawings[i].scene for i in order])
            return {**batch, "named": named, "pixels": stacked([drawings[i] for i in order])}
        return padded([texts[i] for i in order_by_length(texts)], self.tokenizer.pad_token_id)

    def _without_picture(self, drawing: Drawing, rng: np.random.Generator, *, captioned: bool) -> object:
        scene = drawing.scene if captioned else None
        caption = f"{describe(scene, rng)}. " if scene else ""
        return encode(random_dialogue(rng, scene), self.tokenizer, image=caption)


class ChatRecipe(Recipe):
    name = "chat"
    cpu = Plan(batch_size=32, learning_rate=2e-3, samples=300_000)
    gpu = Plan(batch_size=96, learning_rate=2e-3, samples=400_000)
    weight_decay = 0.02

    def __init__(self, clip: Path, exported: Path | None = None):
        torch.manual_seed(self.seed)
        self.tokenizer = load_exported_tokenizer(GPT2Tokenizer, exported) or new_tokenizer()
        model = CLIPModel.from_pretrained(clip).float().eval()
        self.patch_size = model.config.vision_config.patch_size
        self.image_processor = CLIPImageProcessor.from_pretrained(clip)
        llava = new_llava(model, new_llama(self.tokenizer), self.tokenizer)
        llava.model.vision_tower.requires_grad_(False)
        self.batches = ChatBatches(self.tokenizer, llava.config.image_seq_length)
        self.modules = nn.ModuleDict({"llava": llava, "look_up": AttributeHead(llava.config.text_config.hidden_size)})

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        """Return the mean loss per assistant token, with pictures plus half that of the attribute head."""
        llava, current = self.modules["llava"], stage(progress)
        llava.model.language_model.requires_grad_(current != "projector" or "pixels" not in batch)
        losses, attribute_losses = [], []
        for group in groups(batch, -(-len(batch["ids"]) // GROUPS)):
            pictures = {"pixel_values": to_pixels(group["pixels"])} if "pixels" in group else {}
            output = llava.model(
                input_ids=group["ids"],
                attention_mask=group["mask"],
                use_cache=False,
                output_hidden_states=True,
                **pictures,
            )
            losses.append(reply_loss(output.last_hidden_state, group["labels"], llava.lm_head))
            if pictures:
                attribute_losses.append(self.modules["look_up"](output.hidden_states[MIDDLE], group["named"]))
        loss = torch.cat(losses).sum() / (batch["labels"] >= 0).sum()
        return loss + 0.5 * torch.stack(attribute_losses).mean() if attribute_losses else loss

    def export(self, modules: nn.Module, folder: Path) -> None:
        save_half(modules["llava"], folder)
        new_processor(self.tokenizer, self.image_processor, self.patch_size).save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        llava = LlavaForConditionalGeneration.from_pretrained(folder).float()
        self.modules["llava"].load_state_dict(llava.state_dict())
