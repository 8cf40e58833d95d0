"""Key files: what is written is read back, what ZeroMQ's own tools write is read, and what is broken is named."""

from pathlib import Path

import pytest
import zmq.auth

from timer_protocol.key_files import Key, check_prefix, from_text, to_text
from timer_protocol.sender import ALL_RIGHTS, Right

PUBLIC = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
SECRET = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"


@pytest.mark.parametrize(
    "key",
    [
        Key(PUBLIC),
        Key(PUBLIC, SECRET),
        Key(PUBLIC, prefix="order/"),
        Key(PUBLIC, prefix="order/", rights=frozenset({"start", "read"})),
        Key(PUBLIC, rights=ALL_RIGHTS),
        Key(PUBLIC, role="server"),
        Key(PUBLIC, prefix="order/", max_timers=1),
        Key(PUBLIC, prefix="order/", max_timers=100_000_000),
    ],
)
def test_what_is_written_is_read_back(key: Key) -> None:
    assert from_text(to_text(key)) == key


def test_a_public_file_does_not_hold_the_secret() -> None:
    assert SECRET not in to_text(Key(PUBLIC))


def test_files_of_zeromqs_own_tools_are_read(tmp_path: Path) -> None:
    public_path, secret_path = zmq.auth.create_certificates(tmp_path, "shop")
    public, secret = zmq.auth.load_certificate(secret_path)
    assert secret is not None
    assert from_text(Path(public_path).read_text()) == Key(public.decode())
    assert from_text(Path(secret_path).read_text()) == Key(public.decode(), secret.decode())


def test_zeromqs_own_tools_read_ours(tmp_path: Path) -> None:
    path = tmp_path / "shop.key_secret"
    path.write_text(to_text(Key(PUBLIC, SECRET, "order/")))
    assert zmq.auth.load_certificate(path) == (PUBLIC.encode(), SECRET.encode())


def file(*metadata: str, curve: tuple[str, ...] = (f'public-key = "{PUBLIC}"',)) -> str:
    """The text of a file with these lines in its two sections."""
    return "\n".join(["metadata", *(f"    {line}" for line in metadata), "curve", *(f"    {line}" for line in curve)])


@pytest.mark.parametrize(
    "line",
    [
        'prefix = "order/"',
        "prefix = 'order/'",
        "prefix = order/",
        'prefix="order/"',
        'prefix = "order/"  # of the shop',
    ],
)
def test_all_forms_of_a_value_bind_to_the_prefix(line: str) -> None:
    assert from_text(file(line)) == Key(PUBLIC, prefix="order/")


def test_key_of_whose_rights_nothing_is_said_has_all_but_admin() -> None:
    assert from_text(file()).rights == ALL_RIGHTS - {"admin"}


@pytest.mark.parametrize(
    ("line", "rights"),
    [
        ('rights = "read"', {"read"}),
        ('rights = "read,take"', {"read", "take"}),
        ('rights = " take , read,read"', {"read", "take"}),
        ("rights = admin", {"admin"}),
    ],
)
def test_rights_are_words_with_commas_in_between(line: str, rights: set[Right]) -> None:
    assert from_text(file(line)).rights == rights


@pytest.mark.parametrize("text", ["", "write", "read,write", "Read", "read take", "read;take", "read,", "all", "none"])
def test_what_is_no_right_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="is no right; rights are read, start, change, take, admin"):
        from_text(file(f'rights = "{text}"'))


@pytest.mark.parametrize(
    "line",
    [
        'Prefix = "order/"',
        'prefixes = "order/"',
        'prefix: "order/"',
        'prefix "order/"',
        "prefix = “order/”",
        'prefix = "order/";',
        'prefix = "order/" "shop/"',
        "prefix",
        'public-key = "x"',
    ],
)
def test_a_line_that_may_have_meant_a_prefix_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 2 is not understood|characters of an id"):
        from_text(file(line))


def test_a_name_twice_or_in_the_wrong_section_is_refused() -> None:
    with pytest.raises(ValueError, match="line 3 is not understood"):
        from_text(file('prefix = "order/"', 'prefix = ""'))
    with pytest.raises(ValueError, match="line 4 is not understood"):
        from_text(file(curve=(f'public-key = "{PUBLIC}"', 'prefix = "order/"')))
    with pytest.raises(ValueError, match="line 1 is not understood"):
        from_text(f'    public-key = "{PUBLIC}"')


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "no public-key"),
        ("curve\n", "no public-key"),
        (file(curve=(f'public-key = "{PUBLIC[1:]}"',)), "public-key is not 40 characters of Z85"),
        (file(curve=(f'public-key = "{PUBLIC[1:]} "',)), "public-key is not 40 characters of Z85"),
        (file(curve=(f'public-key = "{PUBLIC}"', 'secret-key = "x"')), "secret-key is not 40 characters of Z85"),
        *(
            (file('prefix = "order/"', f'max_timers = "{text}"'), "a whole number of timers from 1 to 100000000")
            for text in ("", "0", "-1", "1.5", "1e3", "1_000", "٣", "100000001", "9" * 5000)
        ),
        (file('max_timers = "5"'), "pending below the prefix of a key, so it needs one"),
        (file('role = "client"'), "its role is 'client', and the only one is 'server'"),
        (file('prefix = "a b"'), "a prefix is at most 92 of the characters of an id"),
    ],
)
def test_what_is_broken_is_named(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        from_text(text)


@pytest.mark.parametrize("prefix", ["", "a", "order/", "x" * 92])
def test_a_prefix_is_what_an_id_may_begin_with(prefix: str) -> None:
    check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["x" * 93, "a b", "ä", "a\n", "~beat"])
def test_no_other_prefix_is(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        check_prefix(prefix)
