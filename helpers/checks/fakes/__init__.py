"""Fakes for what a student's function talks to: a chat model, a pipeline, a web server, a database, the screen.

They record every call, cost next to nothing, and make each verdict reproducible. Import them from this package.
"""

from helpers.checks.fakes.blip2 import Blip2Record, Blip2Request, only_parts, scripted_blip2, tiny_blip2
from helpers.checks.fakes.canned import CannedModel
from helpers.checks.fakes.chat import (
    ChatRequest,
    NeverEnds,
    ToolUse,
    fake_chat,
    pictures_of,
    scripted_chat,
    text_of,
    without_replies,
)
from helpers.checks.fakes.clock import stepping_clock
from helpers.checks.fakes.drawings import Drawing, drawn_result, fake_drawing, recorded_drawings, saved_picture
from helpers.checks.fakes.generator import FakeGenerator
from helpers.checks.fakes.llava import noise_for, tiny_llava, without_image_features
from helpers.checks.fakes.pipeline import PipelineCall, fake_image, fake_picture, fake_pipeline
from helpers.checks.fakes.progress import recorded_bars
from helpers.checks.fakes.rewriter import RewritingScript, fake_rewriter, rewriting_script
from helpers.checks.fakes.screen import recorded_display, scratch_folder
from helpers.checks.fakes.store import RecordingClient, insert_rows, scratch_table, stored_rows
from helpers.checks.fakes.web import Received, Reply, Request, fake_runner, web_server
from helpers.checks.fakes.web_ui import TXT2IMG_PATH, FakeWebUI, as_base64, drawn_by_web_ui, fake_web_ui

__all__ = [
    "TXT2IMG_PATH",
    "Blip2Record",
    "Blip2Request",
    "CannedModel",
    "ChatRequest",
    "Drawing",
    "FakeGenerator",
    "FakeWebUI",
    "NeverEnds",
    "PipelineCall",
    "Received",
    "RecordingClient",
    "Reply",
    "Request",
    "RewritingScript",
    "ToolUse",
    "as_base64",
    "drawn_by_web_ui",
    "drawn_result",
    "fake_chat",
    "fake_drawing",
    "fake_image",
    "fake_picture",
    "fake_pipeline",
    "fake_rewriter",
    "fake_runner",
    "fake_web_ui",
    "insert_rows",
    "noise_for",
    "only_parts",
    "pictures_of",
    "recorded_bars",
    "recorded_display",
    "recorded_drawings",
    "rewriting_script",
    "saved_picture",
    "scratch_folder",
    "scratch_table",
    "scripted_blip2",
    "scripted_chat",
    "stepping_clock",
    "stored_rows",
    "text_of",
    "tiny_blip2",
    "tiny_llava",
    "web_server",
    "without_image_features",
    "without_replies",
]
