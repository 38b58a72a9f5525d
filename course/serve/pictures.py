"""``GET /pictures/<id>.png?prompt=…``: the picture of a made prompt, drawn when it is asked for.

A collection of 900,000 made prompts (`helpers.collection`) so has 900,000 pictures without storing one: the prompt is
in the url, and the picture-book world draws it. The id only gives the file its name.
"""

from __future__ import annotations

import io
from typing import Annotated

from fastapi import APIRouter, Query, Response

from course.api_error import ApiError
from helpers.collection import SIZE
from helpers.picturebook import draw, parse

__all__ = ["pictures_router"]

#: The longest prompt that is read; made prompts have up to some 200 letters.
MAX_PROMPT = 500


def pictures_router() -> APIRouter:
    """The route, to be included where the app has its other ones."""
    router = APIRouter()

    @router.get("/pictures/{name}.png")
    def picture(name: str, prompt: Annotated[str, Query(max_length=MAX_PROMPT)]) -> Response:
        try:
            scene = parse(prompt)
        except ValueError as error:
            raise ApiError(400, f"No picture can be drawn of this prompt: {error}", param="prompt") from error
        file = io.BytesIO()
        draw(scene, SIZE).save(file, "PNG")
        # The same prompt is always the same picture, so a browser may keep it.
        return Response(file.getvalue(), media_type="image/png", headers={"Cache-Control": "max-age=86400, immutable"})

    return router
