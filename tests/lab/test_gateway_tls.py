"""HTTPS on the real HAProxy: certificates from a folder and from the catalog, and connections that are passed on."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from tests.lab.gateway_lab import Backend, Lab, lab, until

from pierhead.control import certificates, rotation
from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.kit import errors
from pierhead.model.keys import Keys
from pierhead.testing.authority import Authority, Made
from pierhead.testing.ports import free_port
from pierhead.wire.consul import kv

KEY = bytes(range(32))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Lab]:
    (tmp_path / "certificates").mkdir()
    (tmp_path / "pages").mkdir()
    (tmp_path / "gateway.key").write_text(KEY.hex())
    async with lab(
        tmp_path,
        https_port=free_port(),
        certificates=tmp_path / "certificates",
        certificate_key=tmp_path / "gateway.key",
        pages=tmp_path / "pages",
        proxies=("127.0.0.9/32",),
    ) as found:
        await found.start()
        yield found


async def test_https_has_the_right_certificate_for_every_name_and_loses_nothing_when_they_change(
    gateway: Lab, tmp_path: Path
) -> None:
    authority, folder = Authority(), tmp_path / "certificates"
    for name, hosts in (("shop", ["shop.test"]), ("any", ["*.wild.test"]), ("soon", ["soon.test"])):
        made = authority.make(*hosts, days=5 if name == "soon" else 90)
        (folder / f"{name}.pem").write_text(made.pem)
    (folder / "broken.pem").write_text("not a certificate")
    other = authority.make("other.test")
    (folder / "other.crt").write_text(other.chain)
    (folder / "other.key").write_text(authority.make("other.test").key)
    server = _server(gateway)
    for name in ("api", "left"):
        made = authority.make(f"{name}.test")
        assert (await certificates.put(server, name, made.chain, made.key)).names == (f"{name}.test",)
    stored = await kv.get_tree(gateway.catalog, "pier/certificates/")
    assert b"PRIVATE" not in b"".join(pair.value for pair in stored[0])
    made = authority.make("api.test", days=-1)
    with pytest.raises(errors.Invalid, match="ended on"):
        await certificates.put(server, "api", made.chain, made.key)
    await gateway.register("web", await gateway.backend("web"))
    await gateway.route("a", service="web", hosts=["shop.test", "*.wild.test", "api.test", "soon.test"])
    await gateway.route("b", service="web", hosts=["safe.test"], https="redirect")

    for host in ("shop.test", "a.wild.test", "api.test", "soon.test"):
        await until(partial(_is_served, gateway, authority, host), what=host)
    assert (await _hello(gateway, None, "unknown.test")).common_name == "pier gateway"
    await until(lambda: _has_problems(gateway, "certificate broken", "certificate other", "certificate soon"))
    reasons = {problem["route"]: problem["reason"] for problem in (await gateway.status())["problems"]}
    assert "ends on " in reasons["certificate soon"]
    assert reasons["certificate other"] == "the key does not belong to the certificate"
    assert (await _hello(gateway, authority, "shop.test", alpn=["h2", "http/1.1"])).protocol == "h2"
    with pytest.raises(ssl.SSLError):
        await _hello(gateway, authority, "shop.test", newest=ssl.TLSVersion.TLSv1_1)

    async with _requests(gateway, authority) as counted:
        newer = authority.make("shop.test", days=80)
        (folder / "shop.pem").write_text(newer.pem)
        await until(lambda: _shows(gateway, authority, "shop.test", newer))
        await certificates.remove(server, "api")
        assert [(one.name, one.problem) for one in await certificates.listing(server)] == [("left", "")]
        await until(lambda: _is_refused(gateway, authority, "api.test"))
        await rotation.prepare(server)
        shutil.copyfile(tmp_path / "server.key", tmp_path / "gateway.key")
        before = server.certificate_keys.held
        server.certificate_keys.change(before.rotated())
        await rotation.finish(server)
        assert server.certificate_keys.held == Keys(before.coming or b"")
        assert (await rotation.show(server, "certificates")).left == 0
        left = authority.make("left.test")
        await certificates.put(server, "left", left.chain, left.key)
        await until(lambda: _shows(gateway, authority, "left.test", left))
    assert counted["failed"] == 0
    assert counted["served"] > 0
    assert not list((gateway.options.folder).glob("certificate-api.pem"))
    async with gateway.session.get(
        f"http://127.0.0.1:{gateway.options.http_port}/x", headers={"Host": "safe.test"}, allow_redirects=False
    ) as response:
        assert response.headers["Location"] == f"https://safe.test:{gateway.options.https_port}/x"

    (tmp_path / "pages" / "404.html").write_text("<h1>Ours</h1>")
    (tmp_path / "pages" / "503.html").write_text("x" * 20_000)
    await until(lambda: gateway.answers("nobody.test", 404, "Ours"))
    await until(lambda: _has_problems(gateway, "page 503.html"))


async def test_a_connection_is_passed_on_unopened_to_who_wants_it_so(gateway: Lab, tmp_path: Path) -> None:
    authority = Authority()
    made = authority.make("raw.test", "deep.raw.test")
    (tmp_path / "own.pem").write_text(made.pem)
    (tmp_path / "certificates" / "shop.pem").write_text(authority.make("shop.test").pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "own.pem")
    port = free_port()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nunopened")
        await _close(writer)

    server = await asyncio.start_server(greet, "127.0.0.1", port, ssl=context)
    async with server:
        backend = Backend("raw")
        backend.port = port
        await gateway.register("raw", backend)
        await gateway.register("web", await gateway.backend("web"))
        await gateway.route("a", service="raw", protocol="tcp", hosts=["raw.test", "*.raw.test"])
        await gateway.route("b", service="web", hosts=["shop.test"])
        for host in ("raw.test", "deep.raw.test"):
            await until(partial(_answers, gateway, authority, host, b"unopened"), what=host)
        await until(lambda: _answers(gateway, authority, "shop.test", b"web"))
        assert b"x-seen-for: 127.0.0.1" in (await _answer(gateway, authority, "shop.test")).lower()
        head = await _proxied(gateway, b"PROXY TCP4 203.0.113.7 127.0.0.1 5000 80\r\n")
        assert b"x-seen-for: 203.0.113.7" in head.lower()


class Hello:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        held = writer.get_extra_info("ssl_object")
        self.protocol = held.selected_alpn_protocol()
        self.der = held.getpeercert(binary_form=True)

    @property
    def common_name(self) -> str:
        return str(next(iter(x509.load_der_x509_certificate(self.der).subject)).value)


def _context(authority: Authority | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem if authority else None)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _hello(
    gateway: Lab, authority: Authority | None, host: str, *, alpn: Any = None, newest: ssl.TLSVersion | None = None
) -> Hello:
    context = _context(authority)
    if alpn:
        context.set_alpn_protocols(alpn)
    if newest:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it is the old version that is to be refused
            context.maximum_version = newest
    _, writer = await _connect(gateway, context, host)
    found = Hello(writer)
    await _close(writer)
    return found


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _connect(gateway: Lab, context: ssl.SSLContext, host: str) -> Any:
    port = gateway.options.https_port
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)


async def _answer(gateway: Lab, authority: Authority, host: str) -> bytes:
    try:
        reader, writer = await _connect(gateway, _context(authority), host)
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        found = await reader.read()
        await _close(writer)
    except OSError as error:
        return repr(error).encode()
    return bytes(found)


async def _answers(gateway: Lab, authority: Authority, host: str, part: bytes) -> bool:
    return part in await _answer(gateway, authority, host)


async def _proxied(gateway: Lab, header: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.options.http_port, local_addr=("127.0.0.9", 0))
    writer.write(header + b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")
    found = await reader.read()
    await _close(writer)
    return found


async def _is_served(gateway: Lab, authority: Authority, host: str) -> bool:
    return await _answers(gateway, authority, host, b"200 OK")


async def _is_refused(gateway: Lab, authority: Authority, host: str) -> bool:
    return await _answers(gateway, authority, host, b"certificate verify failed")


async def _shows(gateway: Lab, authority: Authority, host: str, made: Made) -> bool:
    try:
        return bool((await _hello(gateway, authority, host)).der == ssl.PEM_cert_to_DER_cert(made.chain))
    except OSError:
        return False


async def _has_problems(gateway: Lab, *whats: str) -> bool:
    return {problem["route"] for problem in (await gateway.status())["problems"]} >= set(whats)


def _server(gateway: Lab) -> Context:
    """All that the use cases of certificates need of a server."""
    ring = Keyring(Keys(KEY), gateway.options.data.parent / "server.key")
    return cast(Context, SimpleNamespace(catalog=gateway.catalog, certificate_keys=ring, keys=Keyring(Keys(KEY))))


@asynccontextmanager
async def _requests(gateway: Lab, authority: Authority) -> AsyncIterator[dict[str, int]]:
    """Requests follow one another meanwhile, on new connections."""
    counted = {"served": 0, "failed": 0}
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            was_served = await _is_served(gateway, authority, "a.wild.test")
            counted["served" if was_served else "failed"] += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        try:
            yield counted
        finally:
            over.set()
