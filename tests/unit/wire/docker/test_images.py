from __future__ import annotations

import base64
import json

import pytest

from pierhead.kit import errors
from pierhead.wire.docker import images
from pierhead.wire.docker.images import Build, Credentials


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"stream":"Step 1/2 : FROM scratch\\n"}', "Step 1/2 : FROM scratch"),
        (b'{"status":"Pushed","id":"abc"}', "abc: Pushed"),
        (b'{"status":"Pushing","id":"abc","progressDetail":{"current":1,"total":2}}', ""),
        (b'{"aux":{"ID":"sha256:1"}}', ""),
    ],
)
def test_progress_is_text_for_a_person(line: bytes, text: str) -> None:
    assert images.progress_line(line) == text


def test_an_error_in_the_middle_is_a_failure() -> None:
    with pytest.raises(errors.Failed, match="no space"):
        images.progress_line(b'{"errorDetail":{"message":"no space"},"error":"no space"}')


def test_the_engine_is_told_an_account_and_nobody_sees_it() -> None:
    account = Credentials("pier", "pässword", "images:5000")
    told = json.loads(base64.urlsafe_b64decode(account.header["X-Registry-Auth"]))
    assert told == {"username": "pier", "password": "pässword", "serveraddress": "images:5000"}
    assert Credentials().header == {}
    assert "pässword" not in repr(account)


def test_only_what_was_asked_for_is_sent_to_the_builder() -> None:
    query = images.build_query(Build("web:1", args={"A": "1"}, memory_bytes=1 << 30))
    assert (query["t"], query["buildargs"], query["memory"]) == ("web:1", {"A": "1"}, 1 << 30)
    assert not {"target", "networkmode"} & query.keys()
