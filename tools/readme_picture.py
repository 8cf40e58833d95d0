"""Draws the picture at the top of the README: the page at a desk and on a phone, and a terminal.

python tools/readme_picture.py, once `make screenshots` has drawn the page.
"""

import re
import sys
from base64 import b64encode
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / each) for each in ("services", "tools", "tests")]

from page.browsing import browser  # noqa: E402 - the tests' folder is in the path now

FOLDER = ROOT / "docs" / "screenshots"
WIDTH, HEIGHT = 1280, 760

PAGE = """
<style>
  body {{ margin: 0; width: {width}px; height: {height}px; overflow: hidden; position: relative;
         background: linear-gradient(135deg, #10231f, #0d1117 60%); font-family: system-ui, sans-serif }}
  img, pre {{ position: absolute; border-radius: 12px; border: 1px solid #2b3138; box-shadow: 0 18px 50px #000a }}
  .desk {{ left: 36px; top: 36px; width: 900px }}
  .phone {{ right: 44px; top: 70px; width: 270px; border-radius: 26px; border-width: 6px }}
  pre {{ left: 120px; bottom: 30px; margin: 0; padding: 40px 22px 18px; background: #0b0e12; color: #d5dbe1;
        font: 15px/1.5 "DejaVu Sans Mono", monospace }}
  pre::before {{ content: "● ● ●"; position: absolute; left: 18px; top: 9px; color: #4a535d; letter-spacing: 3px }}
  b {{ color: #2dd4bf; font-weight: normal }}
</style>
<img class="desk" src="data:image/png;base64,{desk}"><img class="phone" src="data:image/png;base64,{phone}">
<pre>{terminal}</pre>
"""


def main() -> None:
    """Draws it."""
    shown = PAGE.format(
        width=WIDTH,
        height=HEIGHT,
        desk=_drawn("timers-desktop-dark"),
        phone=_drawn("timers-phone-dark"),
        terminal=_terminal(),
    )
    with browser() as running:
        page = running.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_content(shown, wait_until="load")
        page.screenshot(path=FOLDER / "overview.png")


def _drawn(name: str) -> str:
    return b64encode((FOLDER / f"{name}.png").read_bytes()).decode()


def _terminal() -> str:
    """The console of the README that starts a cup of tea; what is typed, and the bar, in another colour."""
    (console,) = re.findall(r"```console\n(\$ timer start .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return re.sub(r"(?m)^\$ .*$|━+╸?", r"<b>\g<0></b>", escape(console.rstrip(), quote=False))


if __name__ == "__main__":
    main()
