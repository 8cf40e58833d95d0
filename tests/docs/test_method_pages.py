"""The pages about methods, and the description that is published beside them, are those that the service gives now."""

from pathlib import Path

from method_pages.pages import FOLDER, pages
from timer_protocol.methods import METHODS

ROOT = Path(__file__).parents[2]


def test_the_pages_are_what_the_service_says() -> None:
    made = pages()
    there = {str(path.relative_to(ROOT)) for path in (ROOT / FOLDER).iterdir()}
    assert there == {path for path in made if path.startswith(FOLDER)}, "run `make docs`"
    for path, text in made.items():
        assert (ROOT / path).read_text() == text, f"{path}: run `make docs`"


def test_each_method_is_told_with_a_request_and_its_reply() -> None:
    made = pages()
    for method in METHODS:
        page = made[f"{FOLDER}/{method.name.partition('.')[0]}.md"]
        section = page.partition(f"\n## {method.name}\n")[2].partition("\n## ")[0]
        assert f'"method": "{method.name}"' in section
        assert '"result":' in section, f"{method.name}: PROTOCOL.md has no exchange that succeeds"
