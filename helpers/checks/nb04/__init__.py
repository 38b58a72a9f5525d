"""The exercises of notebook 04, Chat with BLIP-2."""

from helpers.checks.nb04.chatting import Conversation, chat_prompt
from helpers.checks.nb04.seeing import soft_prompts, without_queries
from helpers.checks.nb04.speaking import answer, caption, complete
from helpers.checks.nb04.tokens import readable

__all__ = [
    "Conversation",
    "answer",
    "caption",
    "chat_prompt",
    "complete",
    "readable",
    "soft_prompts",
    "without_queries",
]
