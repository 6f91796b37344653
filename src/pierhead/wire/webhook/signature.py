"""Whether a delivery is from somebody who knows the secret. Compares in constant time.

Source: GitHub, "Validating webhook deliveries"; GitLab, "Webhooks", secret token; Gitea, "Webhooks", X-Gitea-Signature.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

from pierhead.kit import clock, errors
from pierhead.wire.webhook import delivery as deliveries
from pierhead.wire.webhook.delivery import Delivery, Provider

FRESH = timedelta(minutes=5)
"""How far from now the time of a plain delivery may be."""


def check(delivery: Delivery, secret: str, now: datetime) -> str:
    """What this delivery is known by, so that it counts once: of what the secret vouches for, never of a mere header.

    Raises: Denied (the signature is missing or wrong, or too old), Invalid (no known webhook).
    """
    match deliveries.provider(delivery):
        case Provider.GITHUB:
            _same(f"sha256={_hmac(secret, delivery.body)}", delivery.header("x-hub-signature-256"), "GitHub")
        case Provider.GITEA:
            given = delivery.header("x-gitea-signature", "x-forgejo-signature")
            _same(_hmac(secret, delivery.body), given, "Gitea")
        case Provider.GITLAB:
            _same(secret, delivery.header("x-gitlab-token"), "GitLab")
            event = delivery.header("idempotency-key", "x-gitlab-event-uuid")
            return _digest(event.encode() or delivery.body)
        case Provider.PLAIN:
            at = _time(delivery.header("x-pier-timestamp"), now)
            signed = f"{at}.".encode() + delivery.body
            _same(f"sha256={_hmac(secret, signed)}", delivery.header("x-pier-signature"), "This")
            return _digest(signed)
    return _digest(delivery.body)


def plain(secret: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers that a plain delivery of `body` carries."""
    seconds = str(int(at.timestamp()))
    signed = f"sha256={_hmac(secret, f'{seconds}.'.encode() + body)}"
    return {"X-Pier-Timestamp": seconds, "X-Pier-Signature": signed}


def _same(wanted: str, given: str, who: str) -> None:
    if not given:
        raise errors.Denied(
            f"{who} webhook has no signature that Pierhead takes.",
            hint="Set the webhook's secret at the git server; `pier hook secret APP` makes a new one.",
        )
    if not hmac.compare_digest(wanted.encode(), given.encode()):
        raise errors.Denied(
            f"{who} webhook was signed with another secret.",
            hint="The git server must have that of `pier hook set`; `pier hook secret APP` makes a new one.",
        )


def _time(text: str, now: datetime) -> str:
    if not text.isdecimal() or len(text) > 12:
        raise errors.Denied("X-Pier-Timestamp must be the time in seconds since 1970.")
    if abs(clock.moment(int(text)) - now) > FRESH:
        raise errors.Denied("X-Pier-Timestamp is more than five minutes from now.", hint="Compare the two clocks.")
    return text


def _hmac(secret: str, data: bytes) -> str:
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
