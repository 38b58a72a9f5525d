"""The exercises of notebook 05, Prompt management."""

from helpers.checks.nb05.drawing import generate_and_store
from helpers.checks.nb05.embedding import embed_images, embed_texts
from helpers.checks.nb05.filling import insert_prompts
from helpers.checks.nb05.fusing import fuse
from helpers.checks.nb05.improving import improve_prompt
from helpers.checks.nb05.recall import recall_at_k
from helpers.checks.nb05.reranking import rerank
from helpers.checks.nb05.searching import search_by_image, search_by_text, search_or_none
from helpers.checks.nb05.tables import create_index, create_table

__all__ = [
    "create_index",
    "create_table",
    "embed_images",
    "embed_texts",
    "fuse",
    "generate_and_store",
    "improve_prompt",
    "insert_prompts",
    "recall_at_k",
    "rerank",
    "search_by_image",
    "search_by_text",
    "search_or_none",
]
