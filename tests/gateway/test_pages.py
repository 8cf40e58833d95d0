"""The page's files as the gateway serves them."""

import base64
import hashlib
import re
from pathlib import Path

import httpx
import pytest

from gateway.visits import NOWHERE, visited
from timer_gateway import pages

STATIC = Path(pages.__file__).parent / "static"
MARKUP_OF_STRINGS = r"innerHTML|outerHTML|HTMLUnsafe|AdjacentHTML|document\.write|DOMParser|ContextualFragment|\beval\("
SCRIPTS = sorted(STATIC.rglob("*.js"))


async def found(http: httpx.AsyncClient, path: str) -> httpx.Response:
    answer = await http.get(path)
    assert answer.status_code == 200, path
    return answer


def test_is_sent_once_and_asked_for_by_its_tag_after_that() -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        first = await found(http, "/")
        assert first.headers["content-type"] == "text/html; charset=utf-8"
        assert first.headers["cache-control"] == "no-cache"
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}'):
            again = await http.get("/", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = await http.get("/", headers={"If-None-Match": '"other"'})
        assert (other.status_code, other.content) == (200, first.content)
        head = await http.head("/")
        assert (head.status_code, head.content) == (200, b"")

    visited(NOWHERE, scenario)


def test_every_file_that_the_page_names_is_there_under_its_policy() -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        html = (await found(http, "/")).text
        paths = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', html))
        assert {"/static/page.css", "/static/modules/main.js"} <= paths
        for script in SCRIPTS:
            named = re.findall(r'^(?:import|export) (?:.* from )?"\./([a-z_]+\.js)";', script.read_text(), re.MULTILINE)
            paths |= {f"/static/modules/{name}" for name in named}
        there_are = {f"/static/{script.relative_to(STATIC)}" for script in SCRIPTS}
        assert there_are == {path for path in paths if path.endswith(".js")}
        for path in paths:
            answer = await found(http, path)
            assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        for path in ("/static/", "/static/index.html", "/static/../pages.py", "/static/modules"):
            assert (await http.get(path)).status_code == 404

    visited(NOWHERE, scenario)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_no_script_makes_markup_of_data(script: Path) -> None:
    assert re.search(MARKUP_OF_STRINGS, script.read_text()) is None


def test_the_html_has_no_style_within_and_one_script_which_its_policy_names() -> None:
    html = (STATIC / "index.html").read_text()
    assert re.findall(r"<style|\bstyle=|\son\w+=", html) == []
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(re.findall(r"<script(?![^>]*\ssrc=)", html)) == 1
    named = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    async def scenario(http: httpx.AsyncClient) -> None:
        policy = (await found(http, "/")).headers["content-security-policy"]
        assert re.search(r"script-src [^;]*;", policy)[0] == f"script-src 'self' 'sha256-{named}';"  # type: ignore[index]

    visited(NOWHERE, scenario)
