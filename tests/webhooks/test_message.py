"""What an endpoint is sent: the same message each time, signed so that another implementation verifies it."""

import json
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from timer_protocol.messages import Timer
from timer_webhooks.signing import key_of, new_secret, signed_headers
from timer_webhooks.webhook import webhook_id, webhook_of
from webhooks.conftest import OTHER_SECRET, SECRET

NOW_S = 1_767_225_729


def timer(**changes: Any) -> Timer:
    """A timer that has fired."""
    fields: dict[str, Any] = {
        "id": "hook/1",
        "label": "tea",
        "state": "fired",
        "hours": 0,
        "minutes": 0,
        "seconds": 2,
        "duration_ms": 2_000,
        "remaining_ms": 0,
        "started_at_ms": NOW_S * 1000 - 2_000,
        "due_at_ms": NOW_S * 1000,
        "ended_at_ms": NOW_S * 1000,
        "version": 2,
        "payload": {"to": "ada", "é": "…"},
    }
    return Timer(**fields | changes)


def headers(body: bytes, *secrets: str, at_s: int) -> dict[str, str]:
    signed = signed_headers("end_x", body, [key_of(secret) for secret in secrets], at_s)
    return {name.decode(): value.decode() for name, value in signed}


def test_another_implementation_verifies_it_with_either_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415

    body = webhook_of(timer()).body
    sent = headers(body, SECRET, OTHER_SECRET, at_s=int(time.time()))
    for secret in (SECRET, OTHER_SECRET):
        assert Verifier(secret).verify(body, sent) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Verifier(new_secret()).verify(body, sent)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body.replace(b"ada", b"bob"), sent)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body, sent | {"webhook-id": "end_y"})


def test_the_body_says_what_has_ended_and_when() -> None:
    body = json.loads(webhook_of(timer(state="cancelled", ended_at_ms=NOW_S * 1000 + 7)).body)
    assert body["type"] == "timer.cancelled"
    assert body["timestamp"] == "2026-01-01T00:02:09.007Z"
    assert body["data"]["id"] == "hook/1"
    assert body["data"]["payload"] == {"to": "ada", "é": "…"}


def test_the_id_is_made_from_timer_version_and_moment_alone() -> None:
    first = webhook_of(timer())
    assert webhook_of(timer()) == first
    assert webhook_of(timer(label="other")).id == first.id
    others = [timer(id="hook/2"), timer(version=3), timer(ended_at_ms=NOW_S * 1000 + 1)]
    assert len({webhook_of(other).id for other in others} | {first.id}) == 4
    assert first.id == webhook_id("hook/1", 2, NOW_S * 1000) == "end_HsMCNxO09i2xCTO-ZKBulBGX-5Jtbdnq"


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "c2VjcmV0", "whsec_c2hvcnQ=", "whsec_" + "A" * 31, "whsec_" + "AAAA" * 22, "whsec_!!!!" + "A" * 40],
)
def test_a_secret_is_of_the_specified_form(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes") as refused:
        key_of(secret)
    assert len(secret) < 8 or secret not in str(refused.value)


def test_a_new_secret_is_one() -> None:
    assert len(key_of(new_secret())) == 32
    assert new_secret() != new_secret()
