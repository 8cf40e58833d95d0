"""Text of others in a sentence of ours: what a database says may quote damaged bytes, or what a stranger wrote."""


def one_line(text: str) -> str:
    """A text that may quote anything, in one line of printable characters."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))
