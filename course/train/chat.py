"""The chat model, after LLaVA (Liu et al. 2023, arXiv:2304.08485; the two-layer projector: arXiv:2310.03744).

CLIP's vision tower, frozen, gives 64 patch vectors a picture; a projector of two linear layers makes image tokens of
them; a small Llama reads these among the words and answers. Three stages, one after the other:

1. *language*: the Llama alone, on all dialogues, a caption in the place of each picture;
2. *projector*: the projector alone, the Llama frozen: pictures begin to read like captions;
3. *instructions*: both together, on all tasks.

The loss is on the assistant's words alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
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

from course.data import Pictures, fresh_scenes, to_pixels
from course.talk.dialogues import Dialogue, random_dialogue
from course.train.language import Tokens, by_length, pad, reply_loss
from course.train.loop import Recipe, save_half
from course.train.tokenizer import kept_tokenizer, train_byte_level
from helpers.picturebook import describe, random_scene

BOS, EOS, PAD, IMAGE = "<s>", "</s>", "<pad>", "<image>"
VOCABULARY = 1600
LANGUAGE_STEPS, PROJECTOR_STEPS = 450, 150
FEATURE_LAYER = -2
GROUP = 8
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{%- if message.role == "assistant" %}ASSISTANT: {% else %}{{ message.role | upper }}: {% endif %}
{%- if message.content is string %}{{ message.content }}
{%- else %}
{%- for part in message.content if part.type != "text" %}<image>
{%- endfor %}
{%- for part in message.content if part.type == "text" %}{{ part.text }}
{%- endfor %}
{%- endif %}
{%- if message.role == "assistant" %}{{ eos_token }}
{%- endif %}{{ "\\n" }}
{%- endfor %}
{%- if add_generation_prompt %}ASSISTANT:{% endif %}"""


def new_tokenizer() -> GPT2Tokenizer:
    """Byte-level BPE over dialogues of all tasks."""
    texts = []
    for i, scene in enumerate(fresh_scenes(8000, seed=3)):
        dialogue = random_dialogue(np.random.default_rng((3, i)), scene if i % 2 else None)
        texts.append("\n".join(f"USER: {said}\nASSISTANT: {answer}" for said, answer in dialogue.turns))
        texts.append(f"SYSTEM: {dialogue.system} {describe(scene, np.random.default_rng((4, i)))}")
    tokens = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD, "unk_token": PAD}
    return train_byte_level(
        texts,
        vocab_size=VOCABULARY,
        specials=[PAD, BOS, EOS, IMAGE],
        **tokens,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=1024,
    )


def new_llama(tokenizer: GPT2Tokenizer) -> LlamaForCausalLM:
    """The untrained language model."""
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
    """The whole: this CLIP's vision tower and this Llama, an untrained projector between them."""
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
    """The processor, with the chat template."""
    return LlavaProcessor(
        images,
        tokenizer,
        patch_size=patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the class token, which "default" leaves out again
        chat_template=CHAT_TEMPLATE,
    )


def encode(dialogue: Dialogue, tokenizer: GPT2Tokenizer, *, image: str) -> Tokens:
    """The dialogue as the chat template writes it; what the assistant says is to be learnt.

    `image` is what stands for the picture: the image tokens, or a caption; empty where there is no picture.
    """
    pieces = [(BOS + (f"SYSTEM: {dialogue.system}\n" if dialogue.system else ""), False)]
    for i, (said, answer) in enumerate(dialogue.turns):
        pieces += [
            (f"USER: {image if i == 0 else ''}{said}\nASSISTANT:", False),
            (f" {answer}{EOS}", True),
            ("\n", False),
        ]
    ids, learnt = [], []
    for text, is_answer in pieces[:-1]:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += tokens
        learnt += [is_answer] * len(tokens)
    return Tokens(ids, learnt)


class ChatRecipe(Recipe):
    name = "chat"
    total_steps = 3400
    batch_size = 32
    learning_rate = 2e-3
    weight_decay = 0.02
    warmup_steps = 100

    def __init__(self, data: Pictures, clip: Path, exported: Path | None = None):
        torch.manual_seed(self.seed)
        self.data = data
        self.tokenizer = kept_tokenizer(GPT2Tokenizer, exported) or new_tokenizer()
        self.clip = CLIPModel.from_pretrained(clip).float().eval()
        self.image_processor = CLIPImageProcessor.from_pretrained(clip)
        llava = new_llava(self.clip, new_llama(self.tokenizer), self.tokenizer)
        llava.model.vision_tower.requires_grad_(False)
        self.modules = llava

    def stage(self, step: int) -> str:
        """Which of the three stages a step belongs to."""
        if step < LANGUAGE_STEPS:
            return "language"
        return "projector" if step < LANGUAGE_STEPS + PROJECTOR_STEPS else "instructions"

    def loss(self, step: int, rng: np.random.Generator) -> torch.Tensor:
        stage = self.stage(step)
        self.modules.model.language_model.requires_grad_(stage != "projector")
        self.modules.model.multi_modal_projector.requires_grad_(stage != "language")
        with_pictures = stage == "projector" or step % 3 > 0
        if stage == "language":
            return self._reply_loss([self._without_picture(rng, with_pictures) for _ in range(2 * self.batch_size)])
        if not with_pictures:
            return self._reply_loss([self._without_picture(rng, False) for _ in range(self.batch_size)])
        rows = rng.integers(len(self.data), size=self.batch_size)
        image = IMAGE * self.modules.config.image_seq_length
        dialogues = [random_dialogue(rng, self.data.scenes[row]) for row in rows]
        return self._reply_loss(
            [encode(dialogue, self.tokenizer, image=image) for dialogue in dialogues],
            to_pixels(np.stack([self.data.pixels[row] for row in rows])),
        )

    def _without_picture(self, rng: np.random.Generator, captioned: bool) -> Tokens:
        scene = random_scene(rng) if captioned else None
        caption = f"{describe(scene, rng)}. " if scene else ""
        return encode(random_dialogue(rng, scene), self.tokenizer, image=caption)

    def _reply_loss(self, batch: list[Tokens], pixels: torch.Tensor | None = None) -> torch.Tensor:
        """The mean loss a token that the assistant says."""
        losses = []
        for group in by_length(batch, GROUP):
            ids, mask, labels = pad([batch[i] for i in group], self.tokenizer.pad_token_id)
            pictures = {} if pixels is None else {"pixel_values": pixels[group]}
            hidden = self.modules.model(input_ids=ids, attention_mask=mask, use_cache=False, **pictures)
            losses.append(reply_loss(hidden.last_hidden_state, labels, self.modules.lm_head))
        return torch.cat(losses).sum() / sum(sum(tokens.said) for tokens in batch)

    def export(self, modules: LlavaForConditionalGeneration, folder: Path) -> None:
        save_half(modules, folder)
        patch_size = self.clip.config.vision_config.patch_size
        new_processor(self.tokenizer, self.image_processor, patch_size).save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules.load_state_dict(LlavaForConditionalGeneration.from_pretrained(folder).float().state_dict())
