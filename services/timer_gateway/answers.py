"""Answers that are JSON."""

from typing import Final

from starlette.responses import Response

MEDIA_TYPE: Final = "application/json"

_NOT_KEPT = {"Cache-Control": "no-store"}
"""What a timer is like holds for a moment, and for one caller."""


def json_answer(body: bytes) -> Response:
    """An answer with this JSON."""
    return Response(body, headers=_NOT_KEPT, media_type=MEDIA_TYPE)
