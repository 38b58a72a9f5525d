"""One reply in the making: picks its tokens from the model's scores, and knows what to show and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from llguidance import LLMatcher
    from transformers import PreTrainedTokenizerFast

__all__ = ["Choice", "Grammars", "Sampling"]

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Sampling:
    """How a request wants its replies.

    Attributes:
        n: how many.
        max_tokens: the most tokens of each.
        temperature: 0 takes the likeliest token each time; more than 1 flattens the probabilities.
        top_p: draws from the likeliest tokens that together have this probability (nucleus sampling,
            Holtzman et al. 2020, arXiv:1904.09751).
        seed: makes drawing repeatable; None draws anew each time.
        stop: a reply ends before the first of these texts.
        grammar: what a reply may be, in llguidance's Lark dialect; None leaves it free.
    """

    n: int
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    grammar: str | None = None


class Grammars:
    """Which tokens may come next in a reply that follows a grammar, for one tokenizer; llguidance works it out."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, ends: Sequence[int], vocabulary: int):
        """``ends`` are the ids that end a reply; ``vocabulary`` is how many ids the model scores."""
        from llguidance.hf import from_tokenizer

        self._tokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=list(ends))

    def matchers(self, grammar: str, count: int) -> list[LLMatcher]:
        """``count`` matchers of a grammar, each at its beginning.

        Raises:
            ValueError: it is no grammar, or has a JSON schema that can't be followed.
        """
        from llguidance import LLMatcher

        first = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(grammar))
        if first.is_error():
            raise ValueError(first.get_error())
        return [first, *(first.deep_copy() for _ in range(count - 1))]


class Choice:
    """Reply number ``index`` of a request.

    Attributes:
        tokens: the ids picked so far, the end token among them.
        finish_reason: None while it goes on; then "stop" when the model or a stop text ended it, "length"
            when the limit on tokens did.
        fault: what the grammar says when it knows no way on, which ends the reply too; else "".
    """

    def __init__(
        self,
        index: int,
        sampling: Sampling,
        tokenizer: PreTrainedTokenizerFast,
        ends: Sequence[int],
        matcher: LLMatcher | None,
    ):
        self.index, self.tokens = index, []
        self.finish_reason: Finish | None = None
        self.fault = ""
        self._sampling, self._tokenizer, self._ends, self._matcher = sampling, tokenizer, ends, matcher
        # Each reply draws from numbers of its own, so that it does not matter which others are in its batch.
        seed = None if sampling.seed is None else [sampling.seed % 2**64, index]
        self._random = np.random.default_rng(seed)
        self._shown = 0

    def push(self, scores: np.ndarray) -> str:
        """Picks the next token and returns the text that can be shown now, often "".

        Args:
            scores: the model's logits, shape (vocabulary,).
        """
        token = self._pick(scores)
        self.tokens.append(token)
        if self._matcher and (not self._matcher.consume_token(token) or self._matcher.is_error()):
            self.finish_reason, self.fault = "stop", self._matcher.get_error() or "no token may come next"
            return ""
        if token in self._ends or (self._matcher and self._matcher.is_stopped()):
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._sampling.max_tokens:
            self.finish_reason = "length"
        return self._news()

    def _pick(self, scores: np.ndarray) -> int:
        if self._matcher:
            allowed = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
            allowed = np.unpackbits(allowed, count=len(scores), bitorder="little").astype(bool)
            scores = np.where(allowed, scores, -np.inf)
        if self._sampling.temperature == 0:
            return int(scores.argmax())
        # The best score becomes 0, so that no temperature, however low, makes it overflow.
        scores = (scores.astype(np.float64) - scores.max()) / self._sampling.temperature
        chances = np.exp(scores)
        chances /= chances.sum()
        if self._sampling.top_p < 1:
            order = np.argsort(-chances, kind="stable")
            enough = int(np.searchsorted(np.cumsum(chances[order]), self._sampling.top_p)) + 1
            chances[order[enough:]] = 0
        # In the vocabulary's order: sorted by chance, two near-equals might trade places in another batch.
        steps = np.cumsum(chances)
        drawn = np.searchsorted(steps, self._random.random() * steps[-1], side="right")
        return int(min(drawn, np.flatnonzero(chances)[-1]))

    def _news(self) -> str:
        # Decoded from the start each time: a token may change how its neighbours are written. Byte-level
        # tokenizers put a blank before a reply's first word.
        text = self._tokenizer.decode(
            self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        ).lstrip()
        stops = [at for at in map(text.find, self._sampling.stop) if at >= 0]
        if stops:
            self.finish_reason, sure = "stop", min(stops)
        elif self.finish_reason:
            sure = len(text)
        else:
            sure = self._sure(text)
        news, self._shown = text[self._shown : sure], max(sure, self._shown)
        return news

    def _sure(self, text: str) -> int:
        """How much of ``text`` no later token can take back: not half a character, not the start of a stop text."""
        sure = len(text.rstrip("\N{REPLACEMENT CHARACTER}"))
        for stop in self._sampling.stop:
            longest = min(len(stop) - 1, len(text))
            begun = next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)
            sure = min(sure, len(text) - begun)
        return sure
