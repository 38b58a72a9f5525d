"""FallbackChat keeps what LangChain asks of every chat model: its own standard unit tests."""

from typing import ClassVar

from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import SecretStr

from helpers.fallback import FallbackChat
from helpers.models import ChatChoice, Service

SERVICE = Service("own", "A server", "http://127.0.0.1:9/v1", (ChatChoice("a-model"),))


def build(choice: ChatChoice) -> BaseChatModel:
    return ChatOpenAI(model=choice.id, base_url=SERVICE.url, api_key=SecretStr("none"))


class TestFallbackChat(ChatModelUnitTests):
    chat_model_class = FallbackChat
    chat_model_params: ClassVar[dict] = {"service": SERVICE, "build": build}

    @property
    def has_tool_calling(self) -> bool:
        return True

    @property
    def has_structured_output(self) -> bool:
        return True
