"""Moments as a start takes them: text, or a `datetime`, which becomes text here."""

from datetime import UTC, datetime, timedelta

from timer_client.arguments import shown, wrong_kind
from timer_client.errors import InvalidArgument

_MINUTE = timedelta(minutes=1)


def moment_text(at: object, zone: str | None) -> str:
    """The text of a moment, as it goes over the wire; a text stays as it is, for the server to read.

    A `datetime` either has its time zone, or is what the clocks of `zone` show. Raises `InvalidArgument`.
    """
    if isinstance(at, str):
        return at
    if not isinstance(at, datetime):
        raise wrong_kind("at", at, "text, a datetime or None")
    is_aware = at.utcoffset() is not None
    if is_aware and zone is not None:
        raise InvalidArgument(f"at is {shown(at)}, which has its time zone, so that no `zone` may be given beside it")
    if not is_aware and zone is None:
        raise InvalidArgument(f"at is {shown(at)}, which has no time zone: give its `zone`, such as 'Europe/Rome'")
    if not is_aware and at.fold:
        raise InvalidArgument(
            f"at is {shown(at)}, the second time that its clocks show this, but a `zone` means the first: "
            "make it a datetime with its time zone"
        )
    return rfc_3339(at) if is_aware else at.replace(tzinfo=None).isoformat()


def rfc_3339(moment: datetime) -> str:
    """A moment with its offset, in UTC where that is no whole number of minutes, as RFC 3339 has no seconds in it."""
    offset = moment.utcoffset()
    assert offset is not None
    return (moment if not offset % _MINUTE else moment.astimezone(UTC)).isoformat()
