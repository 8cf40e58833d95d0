"""Key files: what is written is read back, what ZeroMQ's own tools write is read, and what is broken is named."""

from pathlib import Path

import pytest
import zmq.auth

from timer_protocol.key_files import Key, check_prefix, from_text, to_text

PUBLIC = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
SECRET = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"


@pytest.mark.parametrize("key", [Key(PUBLIC), Key(PUBLIC, SECRET), Key(PUBLIC, prefix="order/")])
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


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "no public-key"),
        ("curve\n", "no public-key"),
        (f'    public-key = "{PUBLIC[1:]}"', "public-key is not 40 characters of Z85"),
        (f'    public-key = "{PUBLIC[1:]} "', "public-key is not 40 characters of Z85"),
        (f'    public-key = "{PUBLIC}"\n    secret-key = "x"', "secret-key is not 40 characters of Z85"),
        (f'    prefix = "a b"\n    public-key = "{PUBLIC}"', "a prefix is at most 92 of the characters of an id"),
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
