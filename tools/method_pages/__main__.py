"""Writes the pages; `make docs` runs this. A page that is made no longer is removed."""

from pathlib import Path

from method_pages.pages import FOLDER, pages

ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    made = pages()
    for old in (ROOT / FOLDER).glob("*.md"):
        if str(old.relative_to(ROOT)) not in made:
            old.unlink()
    for path, text in made.items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text)
