"""The value of `--payload`."""

import click
import msgspec


def read_payload(text: str | None) -> object:
    """The JSON value in a text; None where there is none. Raises `click.UsageError`."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise click.UsageError(f"--payload is not JSON ({error}); a text needs quotes, as in '\"text\"'") from None
