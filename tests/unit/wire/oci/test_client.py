"""What a registry answers is told in families; documents have one way to be written."""

from __future__ import annotations

import pytest

from pierhead.kit import errors
from pierhead.wire.oci import client


@pytest.mark.parametrize(
    ("status", "body", "family", "text"),
    [
        (401, b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}', errors.Denied, "auth"),
        (400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "no", "detail": {"a": 1}}]}', errors.Invalid, '"a"'),
        (413, b"<html>Too large</html>", errors.Invalid, "Too large"),
        (404, b'{"errors": [{"code": "BLOB_UPLOAD_UNKNOWN"}]}', errors.Unavailable, "BLOB_UPLOAD_UNKNOWN"),
        (500, b'{"errors": []}', errors.Unavailable, "errors"),
        (503, b"", errors.Unavailable, "no reason given"),
    ],
)
def test_a_refusal_is_of_a_family(status: int, body: bytes, family: type[errors.PierError], text: str) -> None:
    error = client.refusal("127.0.0.1:5000", status, body)
    assert type(error) is family
    assert str(status) in error.message
    assert text in error.message


def test_equal_documents_have_equal_digests() -> None:
    one, two = client.canonical({"a": 1, "b": {"c": 2, "d": 3}}), client.canonical({"b": {"d": 3, "c": 2}, "a": 1})
    assert client.digest(one) == client.digest(two)
    assert client.digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
