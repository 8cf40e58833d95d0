"""The page: serves the files that come with the package, each under its own path.

They have no version in their names, so a browser keeps each and asks whether it is still the same. The page has one
script within, which loads it again where a file is lost on the way: its policy names that script by its hash.
"""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from timer_gateway.safe_headers import POLICY

FOLDER: Final = "/static"

_FIRST: Final = "index.html"
_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_NOT_MODIFIED: Final = 304
_SCRIPT_WITHIN: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def routes() -> list[Route]:
    """A route for each file, which needs no caller: the page itself asks for a token. The first file is at /."""
    found = dict(_files(files("timer_gateway") / "static", FOLDER))
    first = found.pop(f"{FOLDER}/{_FIRST}")
    return [_route("/", first), *(_route(path, each) for path, each in sorted(found.items()))]


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for each in folder.iterdir():
        below = f"{path}/{each.name}"
        if each.is_dir():
            yield from _files(each, below)
        elif each.name.rpartition(".")[2] in _MEDIA_TYPES:
            yield below, each


def _route(path: str, file: Traversable) -> Route:
    return Route(path, _serving(file), methods=["GET"])


def _serving(file: Traversable) -> Callable[[Request], Awaitable[Response]]:
    """The handler of a file, which is read once."""
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache", **_policy(content)}
    media_type = _MEDIA_TYPES[file.name.rpartition(".")[2]]

    async def serve(request: Request) -> Response:
        known = request.headers.get("if-none-match", "")
        if tag in {each.strip().removeprefix("W/") for each in known.split(",")}:
            return Response(status_code=_NOT_MODIFIED, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return serve


def _policy(content: bytes) -> dict[str, str]:
    """The header that allows the scripts within a file, and no others; none where it has none."""
    hashes = [hashlib.sha256(script).digest() for script in _SCRIPT_WITHIN.findall(content)]
    allowed = "".join(f" 'sha256-{base64.b64encode(each).decode()}'" for each in hashes)
    return (
        {"content-security-policy": POLICY.replace("script-src 'self'", f"script-src 'self'{allowed}")}
        if hashes
        else {}
    )
