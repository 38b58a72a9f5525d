"""One unfinished reply: samples its tokens from the logits, and decides what to show and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from llguidance import LLMatcher
    from transformers import PreTrainedTokenizerFast

__all__ = ["Choice", "Grammars", "Sampling"]

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Sampling:
    """How the replies to a request are sampled.

    Attributes:
        n: how many replies.
        max_tokens: the most tokens per reply.
        temperature: 0 always takes the most likely token; above 1 flattens the probabilities.
        top_p: samples from the most likely tokens that together have this probability (nucleus sampling,
            Holtzman et al. 2020, arXiv:1904.09751).
        seed: makes sampling reproducible; None differs each time.
        stop: a reply ends before the first of these texts.
        grammar: what a reply must match, in llguidance's Lark dialect; None for no constraint.
    """

    n: int
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    grammar: str | None = None


class Grammars:
    """Which tokens may come next in a reply constrained by a grammar, computed by llguidance for one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, eos_token_ids: Sequence[int], vocabulary: int):
        """`eos_token_ids` end a reply; `vocabulary` is the number of logits."""
        from llguidance.hf import from_tokenizer

        self._tokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=list(eos_token_ids))

    def matchers(self, grammar: str, count: int) -> list[LLMatcher]:
        """Return `count` matchers of a grammar, each in its initial state.

        Raises:
            ValueError: it is not a grammar, or has a JSON schema that can't be satisfied.
        """
        from llguidance import LLMatcher

        first = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(grammar))
        if first.is_error():
            raise ValueError(first.get_error())
        return [first, *(first.deep_copy() for _ in range(count - 1))]


class Choice:
    """Reply number `index` of a request.

    Attributes:
        tokens: the ids sampled so far, including the end token.
        finish_reason: None while it continues; then "stop" if the model or a stop text ended it, "length"
            if it reached the token limit.
        grammar_error: llguidance's error when no token can follow, which also ends the reply; else "".
    """

    def __init__(
        self,
        index: int,
        sampling: Sampling,
        tokenizer: PreTrainedTokenizerFast,
        eos_token_ids: Sequence[int],
        matcher: LLMatcher | None,
    ):
        self.index, self.tokens = index, []
        self.finish_reason: FinishReason | None = None
        self.grammar_error = ""
        self._sampling, self._tokenizer, self._matcher = sampling, tokenizer, matcher
        self._eos_token_ids = eos_token_ids
        # Each reply has its own generator, so the others in its batch do not affect it.
        seed = None if sampling.seed is None else [sampling.seed % 2**64, index]
        self._random = np.random.default_rng(seed)
        self._shown = 0

    def push(self, logits: np.ndarray) -> str:
        """Sample the next token and return the text that can be shown now, often "".

        Args:
            logits: the model's output, shape (vocabulary,).
        """
        token = self._pick(logits)
        self.tokens.append(token)
        if self._matcher and (not self._matcher.consume_token(token) or self._matcher.is_error()):
            self.finish_reason, self.grammar_error = "stop", self._matcher.get_error() or "no token may come next"
            return ""
        if token in self._eos_token_ids or (self._matcher and self._matcher.is_stopped()):
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._sampling.max_tokens:
            self.finish_reason = "length"
        return self._new_text()

    def _pick(self, logits: np.ndarray) -> int:
        if self._matcher:
            allowed = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
            allowed = np.unpackbits(allowed, count=len(logits), bitorder="little").astype(bool)
            logits = np.where(allowed, logits, -np.inf)
        if self._sampling.temperature == 0:
            return int(logits.argmax())
        # The largest logit becomes 0, so that exp can't overflow at any temperature.
        logits = (logits.astype(np.float64) - logits.max()) / self._sampling.temperature
        probs = np.exp(logits)
        probs /= probs.sum()
        if self._sampling.top_p < 1:
            order = np.argsort(-probs, kind="stable")
            kept = int(np.searchsorted(np.cumsum(probs[order]), self._sampling.top_p)) + 1
            probs[order[kept:]] = 0
        # In vocabulary order: sorted by probability, two near-equal tokens might swap in another batch.
        cdf = np.cumsum(probs)
        token = np.searchsorted(cdf, self._random.random() * cdf[-1], side="right")
        return int(min(token, np.flatnonzero(probs)[-1]))

    def _new_text(self) -> str:
        # Decoded from the start each time: a token may change how its neighbours are written. Byte-level
        # tokenizers put a space before a reply's first word.
        text = self._tokenizer.decode(
            self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        ).lstrip()
        stops = [at for at in map(text.find, self._sampling.stop) if at >= 0]
        if stops:
            self.finish_reason, stable = "stop", min(stops)
        elif self.finish_reason:
            stable = len(text)
        else:
            stable = self._stable_length(text)
        new, self._shown = text[self._shown : stable], max(stable, self._shown)
        return new

    def _stable_length(self, text: str) -> int:
        """Return how much of `text` later tokens can't change: no partial character, no start of a stop text."""
        stable = len(text.rstrip("\N{REPLACEMENT CHARACTER}"))
        for stop in self._sampling.stop:
            longest = min(len(stop) - 1, len(text))
            started = next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)
            stable = min(stable, len(text) - started)
        return stable
