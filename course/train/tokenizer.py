"""Tokenizers for the picture-book world: CLIP's, and the byte-level BPE of the two language models.

In both, the world's common words are single tokens, and any other text can be spelt in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer, GPT2Tokenizer, PreTrainedTokenizerBase

AnyTokenizer = TypeVar("AnyTokenizer", bound=PreTrainedTokenizerBase)

MAX_TOKENS = 40
START, END = "<|startoftext|>", "<|endoftext|>"
# Words, digits and runs of punctuation are split from each other, as in CLIP's own tokenizer.
WORDS = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")


def load_exported_tokenizer(kind: type[AnyTokenizer], exported: Path | None) -> AnyTokenizer | None:
    """Load the tokenizer of a previously exported model, None if there is none.

    A resumed training must keep it: retrained on texts that have changed since, it would assign the same words other
    ids than the weights know.
    """
    if exported is None or not (exported / "tokenizer.json").exists():
        return None
    return kind.from_pretrained(exported)


def train_tokenizer(texts: Iterable[str], *, merges: int = 1200) -> CLIPTokenizer:
    """Train a `CLIPTokenizer` on the texts. It encodes any text, splitting unknown words into pieces."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(WORDS, behavior="removed", invert=True), pre_tokenizers.ByteLevel(False, False)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + merges,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    learnt = [tuple(pair) for pair in _merges(bpe)]
    # CLIP's order: bytes, bytes that end a word, one token per merge, the two special tokens.
    tokens = [*alphabet, *(f"{byte}</w>" for byte in alphabet), *("".join(pair) for pair in learnt), START, END]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=learnt, model_max_length=MAX_TOKENS)


def train_byte_level(texts: Iterable[str], *, vocab_size: int, specials: list[str], **tokens: str) -> GPT2Tokenizer:
    """Train a `GPT2Tokenizer` on the texts; a space belongs to the following word and is written Ġ.

    `specials` get the first ids; `tokens` (`bos_token="<s>"`, …) assign their roles.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return GPT2Tokenizer(vocab=bpe.get_vocab(), merges=_merges(bpe), **tokens)


def _merges(bpe: Tokenizer) -> list[tuple[str, str]]:
    import json

    pairs = json.loads(bpe.to_str())["model"]["merges"]
    return [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in pairs]
