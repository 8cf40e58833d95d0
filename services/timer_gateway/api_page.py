"""The description of the API for people and for programs: /api and /openapi.json. Both are made once."""

import html
import re
from collections.abc import Iterator
from functools import cache

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from timer_gateway.api_document import Document, describe
from timer_gateway.problems import API_PAGE

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Timer service: API</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/page.css">
<link rel="stylesheet" href="/static/api.css">
</head>
<body>
<header class="bar">
<a class="brand" href="/" aria-label="Timers">
<img src="/static/icon.svg" alt="" width="28" height="28"><span>Timers</span></a>
</header>
<main>
"""
_CODE = re.compile(r"`([^`]+)`")


def routes() -> list[Route]:
    """The routes, which need no caller."""
    return [
        Route("/openapi.json", _document, methods=["GET"]),
        Route(API_PAGE, _page, methods=["GET"]),
    ]


async def _document(_request: Request) -> Response:
    return Response(_document_text(), media_type="application/json")


async def _page(_request: Request) -> Response:
    return Response(page(), media_type="text/html; charset=utf-8")


@cache
def _document_text() -> bytes:
    return msgspec.json.encode(describe())


@cache
def page() -> str:
    """The page, without script."""
    return _HEAD + "\n".join(_parts(describe())) + "\n</main>\n</body>\n</html>\n"


def _parts(document: Document) -> Iterator[str]:
    info = document["info"]
    yield f"<h1>{_text(info['title'])}</h1>\n<p>{_text(info['summary'])}. Version {_text(info['version'])}."
    yield '<p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).'
    yield "<h2>Paths</h2>"
    for path, operations in document["paths"].items():
        for number, (verb, operation) in enumerate(operations.items()):
            name = path if number == 0 else f"{path}:{verb}"
            yield f'<section id="{_text(name)}">'
            yield from _operation(path, verb.upper(), operation)
            yield "</section>"
    yield '<h2>Methods of <a href="#/rpc">/rpc</a></h2>\n<dl>'
    schemas = document["components"]["schemas"]
    for name in document["components"]["schemas"]["Call"]["discriminator"]["mapping"].values():
        call = schemas[name.rpartition("/")[2]]
        params = schemas[call["properties"]["params"]["$ref"].rpartition("/")[2]]
        yield f'<dt id="{_text(call["properties"]["method"]["const"])}">{_signature(call, params)}'
        yield f"<dd>{_text(call['description'])} {_text(params.get('description', ''))}"
    yield "</dl>\n<h2>Problems</h2>\n<dl>"
    for name, meaning in document["x-problems"].items():
        yield f'<dt id="{_text(name)}"><code>{_text(name)}</code>\n<dd>{_text(meaning)}'
    yield "</dl>"


def _operation(path: str, verb: str, operation: Document) -> Iterator[str]:
    yield f'<h3><span class="verb">{verb}</span><code>{_text(path)}</code></h3>'
    yield f"<p>{_text(operation['summary'])} {_text(operation.get('description', ''))}"
    members = operation.get("parameters", [])
    if members:
        yield "<ul>"
        for member in members:
            meaning = member["schema"].get("description", "")
            about = f": {meaning}" if meaning else ""
            needed = " (needed)" if member["required"] else ""
            where = f" in the {member['in']}" if member["in"] == "header" else ""
            yield f"<li><code>{_text(member['name'])}</code>{where}{needed}{_text(about)}"
        yield "</ul>"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "properties" in body:
        yield f"<p>Body: {', '.join(f'<code>{_text(name)}</code>' for name in body['properties'])}."


def _signature(call: Document, params: Document) -> str:
    required = params.get("required", [])
    names = [name if name in required else f"{name}?" for name in params.get("properties", {})]
    return f"<code>{_text(call['properties']['method']['const'])}</code>({_text(', '.join(names))})"


def _text(text: str) -> str:
    """The text as HTML. What stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(text))
