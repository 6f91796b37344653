"""A whole Pierhead for a test, and what a person does with one."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pierhead.testing import ports
from pierhead.testing.authority import Authority

EXAMPLES = Path(__file__).parents[3] / "examples"
PIER = Path(sys.executable).with_name("pier")


@dataclass(frozen=True)
class Pierhead:
    home: Path
    gateway: str
    """`http://127.0.0.1:<port>`"""
    token: str = ""
    """Whose commands these are; empty: those of the machine's owner."""

    def pier(self, *arguments: str, check: bool = True, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """What a person would type. A failure shows what it printed."""
        ended = subprocess.run(
            [PIER, *arguments], capture_output=True, text=True, timeout=timeout, env=self.environment, check=False
        )
        if check and ended.returncode:
            raise AssertionError(f"pier {' '.join(arguments)} ended {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
        return ended

    def json(self, *arguments: str) -> Any:
        return json.loads(self.pier(*arguments, "--json").stdout)

    @property
    def environment(self) -> dict[str, str]:
        mine = {key: value for key, value in os.environ.items() if not key.startswith("PIER_")}
        person = {"PIER_TOKEN": self.token} if self.token else {}
        return mine | person | {"PIER_HOME": str(self.home), "HOME": str(self.home)}

    def of(self, name: str) -> Pierhead:
        """The same Pierhead, as a person of that name uses it."""
        return replace(self, token=self.json("token", "create", name)["token"])

    @contextmanager
    def begun(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """What a person would type, while it runs; nothing is asked of them. It has ended behind the block."""
        pipe = subprocess.PIPE
        command = [str(PIER), *arguments]
        with subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True) as running:
            try:
                yield running
            finally:
                running.kill()


@contextmanager
def running(home: Path, more: str = "") -> Iterator[Pierhead]:
    """A Pierhead of its own: own data folder, own ports, own name on the engine that runs. Nothing of it is left.
    `more` is added to its settings.

    Its catalog is served over https and lets only those in who show its token, so every part is seen to.
    """
    api, registry, catalog, http, admin, dns = ports.free(6)
    first = 20000 + 40 * secrets.randbelow(290)
    (home / "pier.toml").write_text(
        f'cluster = "test-{secrets.token_hex(3)}"\n'
        f"[api]\nport = {api}\n[registry]\nport = {registry}\n[catalog]\nport = {catalog}\n{_guarded(home)}"
        f"[gateway]\nhttp_port = {http}\nadmin_port = {admin}\n[resolver]\nport = {dns}\n"
        f"[host_ports]\nfirst = {first}\nlast = {first + 39}\n{more}"
    )
    started = Pierhead(home, f"http://127.0.0.1:{http}")
    try:
        started.pier("up")
        yield started
    finally:
        started.pier("down", check=False)
        shutil.rmtree(home, ignore_errors=True)


def _guarded(home: Path) -> str:
    """What the section `catalog` says of token and TLS; the files are there."""
    authority = Authority()
    cert, key = authority.make("127.0.0.1").write(home, "catalog")
    token = home / "catalog-token"
    token.write_text(secrets.token_hex(16))
    files = {"token_file": token, "ca_file": authority.write(home), "server_cert_file": cert, "server_key_file": key}
    return "".join(f'{name} = "{file}"\n' for name, file in files.items())


class Repository:
    """A git repository that a person works in."""

    def __init__(self, folder: Path, example: str, app: str = "") -> None:
        """A copy of an example; under the name `app`, and without hosts of its own, when one is given."""
        self.folder = folder
        shutil.copytree(EXAMPLES / example, folder, dirs_exist_ok=True)
        if app:
            text = (folder / "pier.yaml").read_text()
            text = re.sub(r"^app: .*$", f"app: {app}", text, flags=re.MULTILINE)
            self.write("pier.yaml", re.sub(r",? ?hosts: \[[^]]*\]", "", text))
        self._git("init", "-q", "-b", "main")
        self.commit("The first commit")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        if old not in text:
            raise AssertionError(f"{name} has no {old!r}")
        self.write(name, text.replace(old, new))

    def commit(self, subject: str) -> None:
        self._git("add", "-A")
        self._git("-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "-q", "-m", subject)

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", "-C", self.folder, *arguments], check=True)
