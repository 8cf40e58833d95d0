"""The page as it looks, kept in the folder `artifacts` for whoever reviews a change, and what axe finds there."""

import json
import shutil
import struct
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from page_screenshots import SCHEMES, SIZES, VIEWS, draw_all

pytestmark = pytest.mark.thorough

FOLDER = Path(__file__).parents[2] / "artifacts" / "page"


@pytest.mark.timeout(600)  # twenty-four views, each looked at by axe
def test_each_view_is_drawn_at_three_widths_light_and_dark_and_axe_finds_nothing(chromium: Browser) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    found: dict[str, list[object]] = {}

    def look(page: Page, name: str) -> None:
        found[name] = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]

    draw_all(chromium, FOLDER, lambda _size, _scheme: VIEWS, look)
    (FOLDER / "axe.json").write_text(json.dumps(found, indent=2))
    names = {f"{view}-{size}-{scheme}": SIZES[size] for view in VIEWS for size in SIZES for scheme in SCHEMES}
    assert found == {name: [] for name in names}
    assert {path.stem: size_of(path) for path in FOLDER.glob("*.png")} == names


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height
