"""Repositories that not everybody may read: a real sshd with a deploy key, a real HTTPS server with a password."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pierhead.build import source
from pierhead.build.source import How
from pierhead.kit import clock, errors
from pierhead.testing import ports
from pierhead.wire.git import keys
from pierhead.wire.git.access import Access, Login

IDENTITY = {f"GIT_{who}_{what}": "a@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(folder: Path, *arguments: str) -> str:
    env = {**os.environ, **IDENTITY}
    return subprocess.run(["git", "-C", folder, *arguments], env=env, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a").write_text("1")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Private")
    return folder


@dataclass(frozen=True)
class Sshd:
    address: str
    """`ssh://user@host:port`"""
    known_hosts: str
    log: Path


@contextmanager
def sshd(folder: Path, public_key: str) -> Iterator[Sshd]:
    """A real sshd that lets one key in, and only to what git asks for."""
    (port,) = ports.free(1)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host"], check=True)
    (folder / "authorized").write_text(f'restrict,command="sh -c \\"$SSH_ORIGINAL_COMMAND\\"" {public_key}\n')
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    log = folder / "sshd.log"
    with log.open("wb") as written:
        process = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stderr=written)
    try:
        while True:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, log.read_text()
        key = " ".join((folder / "host.pub").read_text().split()[:2])
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        yield Sshd(f"ssh://{user}@127.0.0.1:{port}", f"[127.0.0.1]:{port} {key}\n", log)
    finally:
        process.terminate()
        process.wait()


async def test_a_deploy_key_lets_in_and_only_known_hosts_are_believed(work: Path, tmp_path: Path) -> None:
    private, public = keys.create("pier-notes")
    (tmp_path / "sshd").mkdir()
    with sshd(tmp_path / "sshd", public) as server:
        url = f"{server.address}{work}"
        mine = Access(private, server.known_hosts)
        found = await source.fetch(tmp_path / "one.git", url, "main", How(mine))
        assert found.subject == "Private"
        other = keys.create("other")
        with pytest.raises(errors.Denied, match="not let in") as denied:
            await source.fetch(tmp_path / "two.git", url, "main", How(replace(mine, private_key=other[0])))
        assert "pier git key" in denied.value.hint
        host = server.known_hosts.split()[0]
        for known in ("nowhere ssh-ed25519 AAAA\n", f"{host} {' '.join(other[1].split()[:2])}\n"):
            with pytest.raises(errors.Denied, match="host key"):
                await source.fetch(tmp_path / "three.git", url, "main", How(replace(mine, known_hosts=known)))
        with pytest.raises(errors.Invalid, match="not a git repository"):
            await source.fetch(tmp_path / "four.git", f"{server.address}/nowhere", "main", How(mine))


async def test_a_fetch_that_is_given_up_leaves_no_ssh(work: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        private, _ = keys.create("pier")
        fetching = source.fetch(tmp_path / "x.git", f"ssh://a@127.0.0.1:{port}/x", "main", How(Access(private, "x")))
        task = asyncio.get_running_loop().create_task(fetching)
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(_rest, connection) is not None


def _rest(connection: socket.socket) -> bytes:
    """What comes until the other side is gone."""
    connection.settimeout(30)
    found = b""
    while piece := connection.recv(1024):
        found += piece
    return found


class _Handler(SimpleHTTPRequestHandler):
    """The files of a repository, for whoever knows the password."""

    def __init__(self, *arguments: object, password: str, seen: list[str], directory: str) -> None:
        self._wanted = "Basic " + base64.b64encode(f"pier:{password}".encode()).decode()
        self._seen = seen
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._seen.append(self.headers.get("Authorization", ""))
        if self.headers.get("Authorization") != self._wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is written."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself: the certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return pem, private


@contextmanager
def https(folder: Path, served: Path, password: str) -> Iterator[tuple[str, list[str], Path]]:
    """`host:port`, what callers showed, and the certificate."""
    pem, private = certificate(folder)
    seen: list[str] = []
    handler = partial(_Handler, password=password, seen=seen, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, private)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"localhost:{server.server_port}", seen, pem
        finally:
            server.shutdown()
            thread.join()


async def test_a_password_is_told_to_its_host_and_to_nobody_else(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = tmp_path / "served"
    git(work, "clone", "-q", "--bare", str(work), str(served / "app.git"))
    git(served / "app.git", "update-server-info")
    with https(tmp_path, served, "s3cret") as (host, seen, pem):
        monkeypatch.setenv("GIT_SSL_CAINFO", str(pem))
        url = f"https://{host}/app.git"
        mine = Access(login=Login(host, "pier", "s3cret"))
        assert (await source.fetch(tmp_path / "one.git", url, "main", How(mine))).subject == "Private"
        seen.clear()
        with pytest.raises(errors.Denied, match="not let in"):
            await source.fetch(
                tmp_path / "two.git", url, "main", How(Access(login=Login("elsewhere", "pier", "s3cret")))
            )
        assert set(seen) == {""}
        for wrong in (Access(login=Login(host, "pier", "wrong")), Access()):
            with pytest.raises(errors.Denied, match="not let in"):
                await source.fetch(tmp_path / "three.git", url, "main", How(wrong))
