"""What git servers send is believed when it is signed, and read as each of them documents it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.kit import clock, errors
from pierhead.wire.webhook import payload, signature
from pierhead.wire.webhook.delivery import Delivery, Other, Push

PAYLOADS = Path(__file__).with_name("payloads")
SECRET = "It's a Secret to Everybody"
NOW = clock.moment(1_790_000_000)
HEAD = "a10867b14bb761a232cd80139fbd4c0d33264240"


def body(name: str, **changed: Any) -> bytes:
    return json.dumps(json.loads((PAYLOADS / name).read_text()) | changed).encode()


def mac(data: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def github(data: bytes, event: str = "push", **headers: str) -> Delivery:
    signed = {"x-github-event": event, "x-github-delivery": "72d3162e", "x-hub-signature-256": f"sha256={mac(data)}"}
    return Delivery({**signed, **headers}, data)


def gitlab(data: bytes, event: str = "Push Hook", **headers: str) -> Delivery:
    return Delivery({"x-gitlab-event": event, "x-gitlab-token": SECRET, **headers}, data)


def gitea(data: bytes) -> Delivery:
    """As Gitea sends it: with GitHub's headers too."""
    sent = {"x-gitea-event": "push", "x-gitea-signature": mac(data), "x-github-event": "push", "x-gogs-event": "push"}
    return Delivery({**sent, "x-hub-signature-256": f"sha256={mac(data)}"}, data)


def plain(value: Mapping[str, Any]) -> Delivery:
    data = json.dumps(value).encode()
    return Delivery({name.lower(): text for name, text in signature.plain(SECRET, NOW, data).items()}, data)


def test_githubs_own_example_of_a_signature_is_taken() -> None:
    """Source: GitHub, "Validating webhook deliveries", "Testing the webhook payload validation"."""
    given = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    signature.check(Delivery({"x-github-event": "push", "x-hub-signature-256": given}, b"Hello, World!"), SECRET, NOW)


def test_pushes_are_read_as_each_server_documents_them() -> None:
    changed = frozenset({"services/shop/till.py", "services/shop/old till.py", "README.md"})
    wanted = Push("refs/heads/main", HEAD, "Say so\n\nin the readme", "Codertocat", changed)
    data = body("github-push.json")
    assert payload.read(github(data)) == wanted
    form = urlencode({"payload": data.decode()}).encode()
    assert payload.read(github(form)) == wanted
    assert payload.read(gitlab(body("gitlab-push.json"))) == Push(
        "refs/heads/master",
        "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
        "fixed readme [skip ci]",
        "jsmith",
        frozenset({"CHANGELOG", "app/controller/application.rb"}),
    )
    tag = payload.read(gitlab(body("gitlab-tag.json"), "Tag Push Hook"))
    assert tag == Push("refs/tags/v1.0.0", "5937ac0a7beb003549fc5fd26fc247adbce4a52e", "", "jsmith")
    assert payload.read(gitea(body("gitea-push.json"))) == Push(
        "refs/heads/develop",
        "bffeb74224043ba2feb48d137756c8a9331c449a",
        "Webhooks Yay!",
        "gitea",
        frozenset({"docs/webhooks.md", "README.md"}),
    )
    mine = {"ref": "refs/heads/main", "commit": HEAD, "message": "m", "paths": ["a"], "who": "ada"}
    assert payload.read(plain(mine)) == Push("refs/heads/main", HEAD, "m", "ada", frozenset({"a"}))


def test_what_was_removed_has_no_commit_and_what_is_no_push_says_what_it_is() -> None:
    removed = payload.read(github(body("github-tag-removed.json")))
    assert isinstance(removed, Push)
    assert removed.commit == ""
    assert payload.read(github(body("github-ping.json"), "ping")) == Other("ping", is_ping=True)
    assert payload.read(github(b"{}", "issues")) == Other("issues")
    assert payload.read(gitlab(b"{}", "Note Hook")) == Other("Note Hook")
    assert payload.read(plain({"ping": True})) == Other("ping", is_ping=True)


@pytest.mark.parametrize(
    "delivery",
    [
        github(body("github-push.json", forced=True)),
        github(body("github-push.json", created=True)),
        github(body("github-push.json", commits=[{"id": HEAD}])),
        gitlab(body("gitlab-push.json", total_commits_count=40)),
        gitlab(body("gitlab-push.json", before="0" * 40)),
        gitea(body("gitea-push.json", total_commits=31)),
        plain({"ref": "refs/heads/main", "commit": HEAD}),
    ],
)
def test_paths_that_the_server_does_not_all_name_are_not_known(delivery: Delivery) -> None:
    push = payload.read(delivery)
    assert isinstance(push, Push)
    assert push.paths is None


def test_only_what_is_signed_with_the_secret_is_taken() -> None:
    data = body("github-push.json")
    for delivery in (github(data), gitea(body("gitea-push.json")), gitlab(data), plain({"ping": True})):
        signature.check(delivery, SECRET, NOW)
        with pytest.raises(errors.Denied, match="another secret"):
            signature.check(delivery, f"{SECRET}!", NOW)
    for delivery in (github(data), gitea(body("gitea-push.json")), plain({"ping": True})):
        with pytest.raises(errors.Denied, match="another secret"):
            signature.check(Delivery(delivery.headers, delivery.body + b" "), SECRET, NOW)
    for headers in ({"x-github-event": "push", "x-hub-signature": "sha1=0"}, {"x-gitlab-event": "Push Hook"}):
        with pytest.raises(errors.Denied, match="no signature"):
            signature.check(Delivery(headers, data), SECRET, NOW)
    with pytest.raises(errors.Denied, match="another secret"):  # GitHub's signature does not count for Gitea
        signature.check(
            Delivery({**github(data).headers, "x-gitea-event": "push", "x-gitea-signature": "é"}, data), "", NOW
        )
    with pytest.raises(errors.Invalid, match="no webhook that Pierhead knows"):
        signature.check(Delivery({}, data), SECRET, NOW)


def test_a_delivery_is_known_by_what_is_signed_and_not_by_a_header() -> None:
    data = body("github-push.json")
    once, again = github(data), github(data, **{"x-github-delivery": "another"})
    assert signature.check(once, SECRET, NOW) == signature.check(again, SECRET, NOW)
    assert signature.check(github(body("github-push.json", after="b" * 40)), SECRET, NOW) != signature.check(
        once, SECRET, NOW
    )
    first, second = (gitlab(data, **{"idempotency-key": key}) for key in ("1", "2"))
    assert signature.check(first, SECRET, NOW) != signature.check(second, SECRET, NOW)


def test_a_plain_delivery_is_of_now() -> None:
    delivery = plain({"ping": True})
    signature.check(delivery, SECRET, NOW + timedelta(minutes=4))
    for at in (NOW + timedelta(minutes=6), NOW - timedelta(minutes=6)):
        with pytest.raises(errors.Denied, match="five minutes"):
            signature.check(delivery, SECRET, at)
    with pytest.raises(errors.Denied, match="time in seconds"):
        signature.check(Delivery({**delivery.headers, "x-pier-timestamp": "soon"}, delivery.body), SECRET, NOW)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"ref": "main", "commit": HEAD}, "neither a branch nor a tag"),
        ({"ref": ["refs/heads/main"], "commit": HEAD}, "neither a branch nor a tag"),
        ({"ref": "refs/heads/main", "commit": "HEAD"}, "no id of a commit"),
        ({"ref": "refs/heads/main"}, "KeyError at 'commit'"),
        ({"ref": "refs/heads/main", "commit": HEAD, "paths": "all"}, "`paths` must be a list"),
        ({"ref": "refs/heads/main", "commit": HEAD, "who": 7}, "must be texts"),
    ],
)
def test_what_is_no_webhook_is_refused_with_its_reason(value: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        payload.read(plain(value))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
_KEYS = ("ref", "before", "after", "commits", "head_commit", "pusher", "object_kind", "checkout_sha", "commit", "paths")


@given(st.dictionaries(st.sampled_from(_KEYS), _json) | _json, st.sampled_from([github, gitlab, gitea, None]))
def test_whatever_is_sent_is_read_or_refused(value: Any, sender: Any) -> None:
    data = json.dumps(value).encode()
    delivery = sender(data) if sender else Delivery({"x-pier-signature": "x"}, data)
    with contextlib.suppress(errors.Invalid):
        assert isinstance(payload.read(delivery), Push | Other)
