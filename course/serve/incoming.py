"""What all requests have in common: strict fields, text that tokenizers can read, unsupported fields."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

__all__ = ["Incoming", "JsonObject", "Text", "not_served"]


class Incoming(BaseModel):
    """Rejects "3" for 3, and treats null like a missing field."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


def _whole_characters(text: str) -> str:
    """JSON can contain lone surrogates, halves of a UTF-16 pair; tokenizers can't read them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start} of the text is only half a character (a lone surrogate)") from None
    return text


Text = Annotated[str, AfterValidator(_whole_characters)]


def _portable(value: dict[str, Any]) -> dict[str, Any]:
    try:
        _whole_characters(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except RecursionError:
        raise ValueError("the object is nested too deeply") from None
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(_portable)]


def not_served(instead: str, *harmless: Any) -> Any:
    """Return the type of an unsupported field, which is refused by name unless its value has no effect.

    Args:
        instead: what to do instead.
        harmless: values that have no effect.
    """

    def check(value: Any) -> Any:
        if value not in harmless:
            raise ValueError(f"this field is not supported here: {instead}")
        return value

    return Annotated[Any, BeforeValidator(check)]
