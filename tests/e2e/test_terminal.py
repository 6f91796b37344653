"""A person at a terminal: a shell in an instance, and a secret that is seen nowhere but there."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time

import pytest

from pierhead.testing.whole import PIER, Pierhead, Repository


@pytest.fixture(scope="module")
def site(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The static example, with a secret that has no value yet."""
    repository = Repository(tmp_path_factory.mktemp("typed"), "site", "typed")
    repository.write("pier.yaml", (repository.folder / "pier.yaml").read_text() + "secrets: [API_KEY]\n")
    repository.commit("Ask for a secret")
    return repository


class Terminal:
    """A command in a real terminal."""

    def __init__(self, pierhead: Pierhead, *arguments: str) -> None:
        self._master, terminal = pty.openpty()
        self._process = subprocess.Popen(
            [str(PIER), *arguments], env=pierhead.environment, stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, text: str) -> None:
        """Reads until `text` has been shown."""
        end = time.monotonic() + 60
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} is not shown: {self.seen!r}"
            if select.select([self._master], [], [], left)[0]:
                self.seen += os.read(self._master, 1 << 16).decode(errors="replace")

    def ended(self) -> int:
        code = self._process.wait(30)
        os.close(self._master)
        return code


def test_a_secret_is_set_delivered_and_never_shown(pierhead: Pierhead, site: Repository) -> None:
    refused = pierhead.pier("deploy", str(site.folder), check=False)
    assert refused.returncode == 6
    assert "pier secret set typed API_KEY" in refused.stderr

    typing = Terminal(pierhead, "secret", "set", "typed", "API_KEY")
    typing.until("API_KEY: ")
    typing.type("hush-hush\n")
    typing.until("has version 1")
    assert typing.ended() == 0
    assert "hush-hush" not in typing.seen

    deployed = pierhead.pier("deploy", str(site.folder))
    delivered = pierhead.pier("exec", "typed", "--", "cat", "/run/secrets/API_KEY")
    assert delivered.stdout == "hush-hush"
    shown = deployed.stdout + deployed.stderr + pierhead.pier("builds", "--json").stdout
    kept = [file.read_bytes() for file in pierhead.home.rglob("*") if file.is_file() and "registry" not in file.parts]
    assert "hush-hush" not in shown
    assert not any(b"hush-hush" in content for content in kept)


def test_a_shell_in_an_instance_obeys_and_ends_with_its_code(pierhead: Pierhead, site: Repository) -> None:
    shell = Terminal(pierhead, "exec", "typed")
    shell.until("# ")
    shell.type("echo $((40 + 2))-$PIER_APP; stty size\r")
    shell.until("42-typed")
    shell.until("24 80")
    shell.type("exit 3\r")
    assert shell.ended() == 3


def test_a_command_that_is_left_does_not_run_on(pierhead: Pierhead, site: Repository) -> None:
    command = [str(PIER), "exec", "typed", "--", "sh", "-c", "echo begun; exec sleep 4321"]
    with subprocess.Popen(command, env=pierhead.environment, stdout=subprocess.PIPE, text=True) as left:
        assert left.stdout
        assert left.stdout.readline() == "begun\n"
        left.kill()
    end = time.monotonic() + 30
    while "sleep 4321" in pierhead.pier("exec", "typed", "--", "ps", "-o", "args").stdout.replace("ps -o args", ""):
        assert time.monotonic() < end, "the command runs on"
        time.sleep(0.2)
