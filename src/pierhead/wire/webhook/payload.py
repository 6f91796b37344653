"""What a delivery tells, whoever sent it.

A plain delivery is `{"ref": "refs/heads/main", "commit": "<id>", "message": "…", "paths": ["…"], "who": "…"}`, of which
only `ref` and `commit` are needed, or `{"ping": true}`.

Source: GitHub, "Webhook events and payloads", push; GitLab, "Webhook events", push and tag; Gitea, "Webhooks".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from pierhead.kit import errors
from pierhead.wire.webhook import delivery as deliveries
from pierhead.wire.webhook.delivery import Delivery, Other, Provider, Push

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GITHUB_MOST_COMMITS = 2048
"""GitHub names no more than that in one push."""


def read(delivery: Delivery) -> Push | Other:
    """Raises: Invalid (what was sent is not what this server's webhooks are)."""
    sender, value = deliveries.provider(delivery), _json(delivery)
    try:
        match sender:
            case Provider.GITHUB:
                return _github(delivery.header("x-github-event"), value)
            case Provider.GITEA:
                return _gitea(delivery.header("x-gitea-event", "x-forgejo-event"), value)
            case Provider.GITLAB:
                return _gitlab(delivery.header("x-gitlab-event"), value)
            case Provider.PLAIN:
                return _plain(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise errors.Invalid(f"This is no {sender} webhook: {type(error).__name__} at {error}.") from None


def _github(event: str, value: Mapping[str, Any]) -> Push | Other:
    if event != "push":
        return Other(event, is_ping=event == "ping")
    commits: Sequence[Mapping[str, Any]] = value["commits"]
    is_whole = not value.get("created") and not value.get("forced") and 0 < len(commits) < _GITHUB_MOST_COMMITS
    head = value.get("head_commit") or {}
    who = (value.get("pusher") or {}).get("name") or ""
    return Push(_ref(value), _commit(value["after"]), head.get("message") or "", who, _paths(commits, whole=is_whole))


def _gitea(event: str, value: Mapping[str, Any]) -> Push | Other:
    if event != "push":
        return Other(event)
    commits: Sequence[Mapping[str, Any]] = value.get("commits") or ()
    is_whole = len(commits) == value.get("total_commits", len(commits)) and _is_commit(value.get("before", ""))
    head = value.get("head_commit") or _of(commits, value["after"])
    who = (value.get("pusher") or {}).get("login") or ""
    return Push(_ref(value), _commit(value["after"]), head.get("message") or "", who, _paths(commits, whole=is_whole))


def _gitlab(event: str, value: Mapping[str, Any]) -> Push | Other:
    if value.get("object_kind") not in ("push", "tag_push"):
        return Other(event)
    commits: Sequence[Mapping[str, Any]] = value.get("commits") or ()
    is_whole = len(commits) == value.get("total_commits_count", 0) and _is_commit(value["before"])
    commit = _commit(value.get("checkout_sha") or value["after"]) if _is_commit(value["after"]) else ""
    head = _of(commits, commit)
    return Push(
        _ref(value),
        commit,
        head.get("message") or "",
        value.get("user_username") or "",
        _paths(commits, whole=is_whole),
    )


def _plain(value: Mapping[str, Any]) -> Push | Other:
    if value.get("ping") is True:
        return Other("ping", is_ping=True)
    paths = value.get("paths")
    if paths is not None and not (isinstance(paths, list) and all(isinstance(path, str) for path in paths)):
        raise errors.Invalid("`paths` must be a list of texts.")
    message, who = value.get("message") or "", value.get("who") or ""
    if not isinstance(message, str) or not isinstance(who, str):
        raise errors.Invalid("`message` and `who` must be texts.")
    return Push(_ref(value), _commit(value["commit"]), message, who, None if paths is None else frozenset(paths))


def _json(delivery: Delivery) -> Mapping[str, Any]:
    text = delivery.body
    if text.startswith(b"payload="):  # GitHub's other form
        text = (parse_qs(text.decode(errors="replace")).get("payload") or [""])[0].encode()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise errors.Invalid(
            f"The webhook's body is no JSON: {error}", hint="Choose application/json at the git server."
        ) from None
    if not isinstance(value, dict):
        raise errors.Invalid("The webhook's body is no JSON object.")
    return value


def _ref(value: Mapping[str, Any]) -> str:
    ref = value["ref"]
    if not isinstance(ref, str) or not ref.startswith(("refs/heads/", "refs/tags/")):
        raise errors.Invalid(f"{ref!r} is neither a branch nor a tag.", hint="`refs/heads/main`, `refs/tags/v1`.")
    return ref


def _commit(text: Any) -> str:
    """Empty for the id that means: there is none."""
    if not isinstance(text, str) or not _COMMIT.fullmatch(text):
        raise errors.Invalid(f"{text!r} is no id of a commit.")
    return text if _is_commit(text) else ""


def _is_commit(text: str) -> bool:
    return bool(text.strip("0"))


def _of(commits: Sequence[Mapping[str, Any]], commit: str) -> Mapping[str, Any]:
    return next((one for one in commits if one["id"] == commit), {})


def _paths(commits: Sequence[Mapping[str, Any]], *, whole: bool) -> frozenset[str] | None:
    kinds = ("added", "modified", "removed")
    if not whole or not all(isinstance(one.get(kind), list) for one in commits for kind in kinds):
        return None
    return frozenset(path for one in commits for kind in kinds for path in one[kind])
