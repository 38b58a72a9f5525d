"""Fakes of what a student's function talks to: a chat model, a pipeline, a web server, the screen, a folder.

With them a check sees everything that a function does, costs next to nothing, and gives the same verdict each time.
"""

from helpers.checks.fakes.chat import (
    ENDLESS,
    ChatRequest,
    NeverEnds,
    fake_chat,
    ours,
    pictures_of,
    scripted_chat,
    text_of,
)
from helpers.checks.fakes.pipeline import PipelineCall, fake_image, fake_picture, fake_pipeline
from helpers.checks.fakes.screen import recorded_display, scratch_folder
from helpers.checks.fakes.web import Received, Reply, Request, fake_runner, web_server
from helpers.pictures import data_url, encoded

__all__ = [
    "ENDLESS",
    "ChatRequest",
    "NeverEnds",
    "PipelineCall",
    "Received",
    "Reply",
    "Request",
    "data_url",
    "encoded",
    "fake_chat",
    "fake_image",
    "fake_picture",
    "fake_pipeline",
    "fake_runner",
    "ours",
    "pictures_of",
    "recorded_display",
    "scratch_folder",
    "scripted_chat",
    "text_of",
    "web_server",
]
