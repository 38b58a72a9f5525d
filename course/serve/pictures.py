"""`GET /pictures/<id>.png?prompt=…`: the picture of a synthetic prompt, drawn on request.

So a collection of 900,000 synthetic prompts (`helpers.collection`) has 900,000 pictures without storing one: the
picture-book world draws the prompt in the URL. The id is only the file's name.
"""

from __future__ import annotations

import io
from typing import Annotated

from fastapi import APIRouter, Query, Response

from course.api_error import ApiError
from helpers.collection import SIZE
from helpers.picturebook import draw, parse

__all__ = ["pictures_router"]

#: The longest prompt accepted, in characters; synthetic prompts have up to about 200.
MAX_PROMPT = 500


def pictures_router() -> APIRouter:
    """Create the route, to be included in the app."""
    router = APIRouter()

    @router.get("/pictures/{name}.png")
    def picture(name: str, prompt: Annotated[str, Query(max_length=MAX_PROMPT)]) -> Response:
        try:
            scene = parse(prompt)
        except ValueError as error:
            raise ApiError(400, f"This prompt can't be drawn: {error}", param="prompt") from error
        file = io.BytesIO()
        draw(scene, SIZE).save(file, "PNG")
        # The same prompt always gives the same picture, so browsers may cache it.
        return Response(file.getvalue(), media_type="image/png", headers={"Cache-Control": "max-age=86400, immutable"})

    return router
