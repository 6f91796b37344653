"""Who is let in by a real registry over TLS, by password and by token; and what is said to whom it is not."""

from __future__ import annotations

import base64
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pierhead.kit import errors
from pierhead.testing import disk, registry
from pierhead.testing.authority import Authority
from pierhead.testing.registry import Guard
from pierhead.wire.oci import client, distribution
from pierhead.wire.oci.access import Access, Account
from pierhead.wire.oci.client import Registry

PASSWORD = "right-horse-battery"


@dataclass
class Served:
    access: Access
    folder: Path


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    guard = Guard(Account("pier", PASSWORD))
    async with registry.serving(tmp_path, guard) as address:
        yield Served(guard.access(tmp_path, address), tmp_path)


async def test_an_account_is_let_in_over_tls(served: Served) -> None:
    async with Registry(served.access) as connected:
        await connected.ping()
        blob = await connected.put_blob("team/app", b"content")
        assert await connected.mount_blob("team/other", blob, "team/app")
        assert await connected.blob("team/other", blob) == b"content"


async def test_all_of_our_images_can_be_below_a_folder(served: Served) -> None:
    below = replace(served.access, address=f"{served.access.address}/company/cloud")
    async with Registry(below) as ours, Registry(served.access) as whole:
        config = await ours.put_blob("app", b"{}")
        assert await ours.mount_blob("other", config, "app")
        described = {"mediaType": client.CONFIG, "digest": config, "size": 2}
        manifest = {"schemaVersion": 2, "mediaType": client.MANIFEST, "config": described, "layers": []}
        for name in ("app", "other"):
            await ours.put_manifest(name, "v1", manifest)
        await whole.put_blob("somebody/else", b"{}")
        await whole.put_manifest("somebody/else", "v1", manifest)
        assert await ours.repositories() == ["app", "other"]
        assert "company/cloud/app" in await whole.repositories()
        assert await whole.tags("company/cloud/app") == ["v1"]


async def test_who_is_not_let_in_is_told_why_without_the_password(served: Served) -> None:
    for account, expected in ((Account("pier", "wrong-horse"), "401"), (None, "401")):
        async with Registry(replace(served.access, account=account)) as connected:
            with pytest.raises(errors.Denied, match=expected) as caught:
                await connected.put_blob("app", b"content")
        assert served.access.address in caught.value.message
        assert "registry.password_file" in caught.value.hint
        assert "wrong-horse" not in str(caught.value)
    assert PASSWORD not in repr(served.access)


async def test_a_registry_of_an_unknown_authority_is_not_told_the_password(served: Served) -> None:
    (served.folder / "other").mkdir()
    other = Authority().write(served.folder / "other")
    async with Registry(replace(served.access, ca_file=str(other))) as connected:
        with pytest.raises(errors.Unavailable, match="is not trusted: ") as caught:
            await connected.ping()
    assert "registry.ca_file" in caught.value.hint
    (served.folder / "none.pem").write_text("no certificate")
    with pytest.raises(errors.Invalid, match="holds no certificate"):
        async with Registry(replace(served.access, ca_file=str(served.folder / "none.pem"))):
            pass
    with pytest.raises(errors.NotFound, match="no file"):
        async with Registry(replace(served.access, ca_file="/nowhere.pem")):
            pass


async def test_a_new_account_is_let_in_beside_the_old_one_without_a_restart(served: Served) -> None:
    old, new = served.access.account, Account("pier-2", "another")
    assert old
    (served.folder / "htpasswd").write_text(distribution.htpasswd([new, old]))
    for account in (new, old):
        async with Registry(replace(served.access, account=account)) as connected:
            await connected.ping()
    (served.folder / "htpasswd").write_text(distribution.htpasswd([new]))
    async with Registry(served.access) as connected:
        with pytest.raises(errors.Denied):
            await connected.ping()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that takes 4 MiB."""
    with disk.small(tmp_path / "disk", 4) as found:
        yield found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
async def test_a_full_registry_says_so_keeps_nothing_half_and_takes_the_next(small_disk: Path, tmp_path: Path) -> None:
    room = b"a" * (3 << 20)
    (tmp_path / "small").write_bytes(room)
    async with registry.serving(tmp_path, data=small_disk) as address, Registry(address) as connected:
        for size in (5 << 20, client.CHUNK_BYTES + 1):  # whole, and in chunks
            (tmp_path / "large").write_bytes(b"b" * size)
            blob = client.digest(b"b" * size)
            with pytest.raises(errors.Unavailable, match="no space left on device") as caught:
                await connected.put_file("app", blob, tmp_path / "large")
            assert "full disk" in caught.value.hint
            assert not await connected.has_blob("app", blob)
            assert distribution.forget_uploads(small_disk, ["app"], timedelta(hours=1)) == 0, "somebody may go on"
            assert distribution.forget_uploads(small_disk, ["*"]) == 1
        assert await connected.put_file("app", client.digest(room), tmp_path / "small"), "half an upload takes no room"
        assert await connected.blob("app", client.digest(room)) == room


@dataclass
class Tokens:
    """Gives tokens to one account, as Harbor and other registries do. Source: distribution, `spec/auth/jwt`."""

    authority: Authority
    folder: Path
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        known = request.headers.get("Authorization") == Account("pier", PASSWORD).header
        scopes = request.query.getall("scope", [])
        self.asked += [("known" if known else "unknown", scope) for scope in scopes]
        if not known:
            return web.json_response({"details": "incorrect username or password"}, status=401)
        return web.json_response({"token": self._token([_granted(scope) for scope in scopes])})

    def _token(self, granted: list[dict[str, Any]]) -> str:
        made = self.authority.make("tokens.test")
        certificate = x509.load_pem_x509_certificate(made.chain.encode())
        der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
        now = int(time.time())
        claims = {"iss": "test", "sub": "pier", "aud": "registry", "nbf": now - 10, "iat": now - 10, "exp": now + 300}
        head = _part({"typ": "JWT", "alg": "ES256", "x5c": [der]})
        body = f"{head}.{_part({**claims, 'jti': str(len(self.asked)), 'access': granted})}"
        key = serialization.load_pem_private_key(made.key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{body}.{_encoded(r.to_bytes(32) + s.to_bytes(32))}"


def _granted(scope: str) -> dict[str, Any]:
    kind, name, actions = scope.split(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _part(value: dict[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


async def test_a_registry_that_sends_for_tokens_is_shown_them(tmp_path: Path) -> None:
    authority = Authority()
    giver = Tokens(authority, tmp_path)
    application = web.Application()
    application.router.add_get("/token", giver.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listener).start()
        realm = f"http://127.0.0.1:{listener.getsockname()[1]}/token"
        told = {
            "realm": realm,
            "service": "registry",
            "issuer": "test",
            "rootcertbundle": str(authority.write(tmp_path)),
        }
        guard = Guard(Account("pier", PASSWORD), tokens=told)
        async with registry.serving(tmp_path, guard) as address:
            access = guard.access(tmp_path, address)
            async with Registry(access) as connected:
                await connected.ping()
                blob = await connected.put_blob("app", b"content")
                assert await connected.mount_blob("other", blob, "app")
                assert await connected.blob("other", blob) == b"content"
            count = len(giver.asked)
            assert {who for who, _ in giver.asked} == {"known"}
            assert count < 8, "a token is used again"
            async with Registry(replace(access, account=Account("pier", "wrong"))) as connected:
                with pytest.raises(errors.Denied, match="lets the account pier not in"):
                    await connected.put_blob("app", b"more")
    finally:
        await runner.cleanup()
