"""No secret reaches an answer, a log, an image, a file in the clear or a process list, and an old key opens nothing.

They are looked for as they are, and as base64 and JSON have them. docs/guides/releases.md says where they have to be.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import secrets
import subprocess
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pierhead.control.keyring import Keyring
from pierhead.testing.authority import Authority
from pierhead.testing.whole import PIER, Pierhead, Repository

pytestmark = pytest.mark.timeout(600)

APP = "vault"
FILE = f"""\
app: {APP}
ports: {{web: {{port: 8000}}}}
command: [sh, /app/serve.sh]
health: {{http: /, interval: 1s}}
secrets: [key]
secret_env: {{TOKEN: token}}
deploy: {{deadline: 3m, drain: 2s, stop: 2s, hooks: {{pre_deploy: [sh, /app/hook.sh]}}}}
"""
HOOK = 'echo "migrates with $TOKEN"; cat /run/secrets/key'
SERVE = """\
mkdir -p /tmp/www; echo here > /tmp/www/index.html
echo "begins $TOKEN"
cat /run/secrets/key
echo "{\\"token\\": \\"$TOKEN\\"}"
busybox printf "me:$TOKEN" | busybox base64 -w 0; echo
busybox printf "%16380s" x; echo "$TOKEN is behind a long line"
busybox printf "${TOKEN%????}"; sleep 0.2; echo "${TOKEN#"${TOKEN%????}"} in two pieces"
echo "said everything $PIER_RELEASE"
exec busybox httpd -f -p 8000 -h /tmp/www
"""
SHOWN_ONCE = {
    ("PUT", "/v1/apps/{app}/hook"),
    ("POST", "/v1/apps/{app}/hook/secret"),
    ("POST", "/v1/tokens/{name}"),
    ("POST", "/v1/nodes/{node}/token"),
}
"""Who makes a secret here is shown it in the answer, and never again."""
CHANGES_ALL = {"/v1/registry/rotate", "/v1/keys/certificates/coming"}
"""Asked without a body and without a name, these act on the Pierhead that other tests use."""


def random() -> str:
    """A value that is nowhere by chance, and that other formats write in another way."""
    return f"canary+/{secrets.token_hex(12)}&ü"


@dataclass
class Canaries:
    """What must not be found, each with what it is."""

    values: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, value: str) -> str:
        for form in (value, base64.b64encode(value.encode()).decode(), json.dumps(value)[1:-1]):
            self.values[form.encode().decode("latin-1")] = name.encode()
        return value

    def among(self, content: bytes) -> set[str]:
        text = content.decode("latin-1")
        return {name.decode() for value, name in self.values.items() if value in text}


@dataclass
class Vault:
    pierhead: Pierhead
    repository: Repository
    canaries: Canaries
    first: str
    """The value of the secret `token` in the first release."""

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        port = tomllib.loads((self.pierhead.home / "pier.toml").read_text())["api"]["port"]
        token = (self.pierhead.home / "token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    def set(self, name: str, value: str) -> None:
        self.canaries.add(f"the secret {name}", value)
        command = [str(PIER), "secret", "set", APP, name]
        subprocess.run(command, input=value.encode(), env=self.pierhead.environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def vault(pierhead: Pierhead, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """An app that says its secrets in every way it can, deployed while every process list is read."""
    repository = Repository(tmp_path_factory.mktemp("vault"), "site", APP)
    for name, text in (("pier.yaml", FILE), ("hook.sh", HOOK), ("serve.sh", SERVE)):
        repository.write(name, text)
    repository.commit("Tell secrets")
    made = Vault(pierhead, repository, Canaries(), random())
    for name in ("token", "secret.key", "gateway.key"):
        made.canaries.add(f"the file {name}", (pierhead.home / name).read_text().strip())
    made.canaries.add(
        "the registry's password", (pierhead.home / "registry-accounts").read_text().split()[0].split(":")[1]
    )
    with watched(made.canaries) as seen:
        made.set("key", f"{random()}\n{random()}\n")
        made.set("key", random())
        made.set("token", made.first)
        pierhead.pier("deploy", str(repository.folder))
    assert seen == set()
    yield made
    pierhead.pier("remove", APP, "--yes")


@contextmanager
def watched(canaries: Canaries) -> Iterator[set[str]]:
    """What stands meanwhile in the arguments of any process, or in the environment of one outside of containers."""
    seen: set[str] = set()
    over = threading.Event()
    mine = os.stat("/")

    def look() -> None:
        while not over.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    seen.update(f"arguments: {name}" for name in canaries.among((process / "cmdline").read_bytes()))
                    if os.path.samestat(os.stat(process / "root"), mine):
                        found = canaries.among((process / "environ").read_bytes())
                        seen.update(f"environment: {name}" for name in found)
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_logs_have_the_name_in_the_place_of_the_value(vault: Vault) -> None:
    text = said(vault, "v1")
    assert vault.canaries.among(text.encode()) == set()
    assert (text.count("[secret token]"), text.count("[secret key]")) == (5, 1), text[:3000]
    assert "begins [secret token]" in text
    assert '"token": "[secret token]"' in text
    assert " x[secret token] is behind a long line" in text
    assert "[secret token] in two pieces" in text
    _, journal = vault.api("GET", f"/v1/deployments/{newest(vault)['id']}/journal")
    assert b"migrates with [secret token]" in journal
    assert b"[secret key]" in journal
    [container] = docker("ps", "--quiet", "--filter", f"label=pier.app={APP}").split()
    assert vault.canaries.among(docker("logs", container).encode()) == {"the secret token", "the secret key"}


def said(vault: Vault, release: str) -> str:
    """Everything that the release's instance has said in the beginning."""
    end = time.monotonic() + 60
    while f"said everything {release}" not in (text := vault.pierhead.pier("logs", APP).stdout):
        assert time.monotonic() < end, text
        time.sleep(0.2)
    return text


def newest(vault: Vault) -> dict[str, Any]:
    _, found = vault.api("GET", f"/v1/apps/{APP}/deployments")
    return dict(json.loads(found)[0])


def test_no_answer_holds_a_value(vault: Vault) -> None:
    chain = Authority().make("vault.example")
    vault.canaries.add("the key of a certificate", chain.key.splitlines()[1])
    login = {"host": "git.example", "username": "me", "password": vault.canaries.add("a login", random())}
    bodies: dict[tuple[str, str], Any] = {
        ("PUT", "/v1/apps/{app}/git/login"): login,
        ("PUT", "/v1/certificates/{name}"): {"chain_pem": chain.chain, "key_pem": chain.key},
        ("PUT", "/v1/apps/{app}/hook"): {"source": "https://git.example/vault"},
        ("POST", "/v1/tokens/{name}"): {},
        ("POST", "/v1/apps/{app}/git/key"): None,
        ("PUT", "/v1/apps/{app}/environments/{environment}/secrets/{name}"): {"value_base64": encoded(vault)},
        ("PUT", "/v1/apps/{app}/environments/{environment}/scale"): {"replicas": 1},
        ("PATCH", "/v1/apps/{app}/variables"): {"variables": {"LEVEL": "info"}, "later": True},
    }
    for (method, path), body in bodies.items():
        status, answer = vault.api(method, filled(vault, path), body)
        assert status < 300, answer
        if (method, path) in SHOWN_ONCE:
            vault.canaries.add(f"what {path} made", found_in(json.loads(answer)))
        else:
            assert vault.canaries.among(answer) == set(), path

    operations = json.loads(vault.api("GET", "/v1/openapi.json")[1])["paths"]
    walked = 0
    for path, found in operations.items():
        for method, operation in found.items():
            walked += 1
            if method == "get":
                status, answer = vault.api("GET", filled(vault, path, operation))
                assert status < 300 or (status, path) == (404, "/v1/builds/{build_id}/report"), (path, answer[:500])
            elif path in CHANGES_ALL:
                continue
            else:
                status, answer = refused(vault, method.upper(), path, operation)
                assert status < 500, (method, path, answer)
            assert vault.canaries.among(answer) == set(), (method, path)
    assert walked > 70
    vault.api("DELETE", "/v1/certificates/vault")
    vault.api("DELETE", "/v1/tokens/vault")


def refused(vault: Vault, method: str, path: str, operation: Mapping[str, Any]) -> tuple[int, bytes]:
    """What is answered to a request that cannot be right, about things that are not there, with every secret in it."""
    values = [value.encode("latin-1").decode(errors="replace") for value in vault.canaries.values]
    wrong = {"value_base64": values, "password": values, "key_pem": {"text": values}, "no_such_field": values}
    nobody = re.sub(r"\{(\w+)\}", lambda name: "999999" if name[1].endswith(("_id", "number")) else "nobody", path)
    return vault.api(method, nobody, wrong if "requestBody" in operation else None)


def encoded(vault: Vault) -> str:
    return base64.b64encode(vault.canaries.add("a secret", random()).encode()).decode()


def found_in(made: Mapping[str, Any]) -> str:
    return str(made.get("secret") or made["token"])


def filled(vault: Vault, path: str, operation: Mapping[str, Any] | None = None) -> str:
    """The path, with the vault's own things in the places of its parameters."""
    deployment = newest(vault)
    values: dict[str, Any] = {
        "app": APP,
        "environment": "dev",
        "name": {"nodes": "", "keys": "secrets"}.get(path.split("/")[2], APP),
        "number": 1,
        "deployment_id": deployment["id"],
        "before": 1,
    }
    if path == "/v1/nodes/{name}":
        values["name"] = json.loads(vault.api("GET", "/v1/nodes")[1])[0]["name"]
    if "{build_id}" in path:
        values["build_id"] = json.loads(vault.api("GET", f"/v1/builds?app={APP}")[1])[0]["id"]
    if "{instance}" in path:
        values["instance"] = json.loads(vault.api("GET", f"/v1/instances?app={APP}")[1])[0]["id"]
    if "{run_id}" in path:
        vault.pierhead.pier("run", "--detach", APP, "--", "sh", "-c", "echo $TOKEN")
        values["run_id"] = json.loads(vault.api("GET", f"/v1/apps/{APP}/runs")[1])[0]["id"]
    path = re.sub(r"\{(\w+)\}", lambda name: str(values[name[1]]), path)
    wanted = [one["name"] for one in (operation or {}).get("parameters", ()) if one["in"] == "query"]
    query = "&".join(f"{name}={values[name]}" for name in wanted if name in values)
    return f"{path}?{query}" if query else path


def test_no_file_image_or_description_holds_a_value(vault: Vault) -> None:
    own = {"token", "secret.key", "gateway.key", "registry-accounts"}
    for file in vault.pierhead.home.rglob("*"):
        if file.is_file() and file.name not in own:
            content = file.read_bytes()
            found = vault.canaries.among(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
            assert found == set(), file
    described = [docker(kind, "inspect", *names) for kind, names in listed().items() if names]
    described += [docker("history", "--no-trunc", name) for name in listed()["image"]]
    described += [docker("service", "ps", "--no-trunc", name) for name in listed()["service"]]
    assert len(described) >= 5
    assert vault.canaries.among("".join(described).encode()) == set()


def listed() -> dict[str, list[str]]:
    return {
        "container": docker("ps", "--all", "--quiet").split(),
        "image": docker("image", "ls", "--all", "--quiet").split(),
        "service": docker("service", "ls", "--quiet").split(),
        "secret": docker("secret", "ls", "--quiet").split(),
        "config": docker("config", "ls", "--quiet").split(),
    }


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def test_what_is_set_while_logs_are_followed_is_not_shown_and_an_old_release_has_its_old_value(vault: Vault) -> None:
    pierhead, file = vault.pierhead, vault.pierhead.home / "secret.key"
    before = Keyring.kept(file).held
    with subprocess.Popen(
        [PIER, "logs", APP, "-f", "--tail", "0"], env=pierhead.environment, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout
        vault.set("token", random())
        pierhead.pier("restart", APP)
        lines = iter(following.stdout.readline, "")
        seen = [next(line for line in lines if "begins" in line), next(line for line in lines if "two pieces" in line)]
        following.terminate()
    assert all("[secret token]" in line for line in seen)
    assert vault.canaries.among("".join(seen).encode()) == set()

    pierhead.pier("secret", "rotate-key")
    after = Keyring.kept(file).held
    assert (after.old, before.current in (after.current, after.coming)) == (None, False)
    _, key = vault.api("GET", "/v1/keys/secrets")
    assert (json.loads(key)["left"], json.loads(key)["is_rotating"]) == (0, False)
    pierhead.pier("rollback", APP, "v1")
    assert pierhead.pier("exec", APP, "--", "cat", "/run/secrets/token").stdout == vault.first
    assert vault.canaries.among(said(vault, "v1").encode()) == set()
