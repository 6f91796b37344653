"""Public applications with lock files of every kind, built by their recipes and run: does each answer?

    sudo uv run python bench/recipes.py [NAME ...]

Each is a commit as its user would make it: the application by name and version, and the lock file that its own tool
writes now. Nothing of them is kept in this repository. Prints for each how
long the first build took, how long the next commit's did, the image's size, and what the container answered. Needs an
engine, npm, uv, and the network.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from pierhead.build import image, source
from pierhead.build.image import Image, Limits, Request
from pierhead.kit import errors
from pierhead.model.app import BuildSpec
from pierhead.testing import bases, registry
from pierhead.wire.docker import containers, images
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.access import Access
from pierhead.wire.oci.client import Registry

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
KEPT = Path(__file__).parents[1] / ".tools" / "bench-registry"
"""Base images that are made here are there the next time."""
IDENTITY = {f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
TOOLS = {"pnpm": "pnpm@9", "yarn": "@yarnpkg/cli-dist@4"}
PATIENCE = 60


@dataclass(frozen=True)
class App:
    name: str
    lock: str
    files: Mapping[str, str]
    path: str = "/"
    """What is asked for once it runs."""
    making: Sequence[str] = ()
    """What writes the lock file; empty: it is among the files."""
    env: Mapping[str, str] = field(default_factory=dict)


def node(dependencies: Mapping[str, str]) -> str:
    return json.dumps({"name": "app", "version": "1.0.0", "private": True, "dependencies": dependencies})


PROJECT = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11,<3.12"\ndependencies = {}\n'
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>app</groupId><artifactId>app</artifactId><version>1</version><packaging>jar</packaging>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>com.google.code.gson</groupId><artifactId>gson</artifactId><version>2.11.0</version>
</dependency></dependencies>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-shade-plugin</artifactId>
<version>3.5.3</version><executions><execution><phase>package</phase><goals><goal>shade</goal></goals></execution>
</executions><configuration><transformers><transformer
implementation="org.apache.maven.plugins.shade.resource.ManifestResourceTransformer"><mainClass>Main</mainClass>
</transformer></transformers></configuration></plugin></plugins></build></project>
"""
MAIN_JAVA = """\
import com.google.gson.Gson; import com.sun.net.httpserver.HttpServer; import java.net.InetSocketAddress;
public class Main { public static void main(String[] a) throws Exception {
  HttpServer s = HttpServer.create(new InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
  s.createContext("/", x -> { byte[] b = new Gson().toJson(new int[]{1, 2}).getBytes();
    x.sendResponseHeaders(200, b.length); x.getResponseBody().write(b); x.close(); });
  s.start(); } }
"""
MAIN_GO = """\
package main
import ("fmt"; "net/http"; "os"; "github.com/julienschmidt/httprouter")
func main() { r := httprouter.New()
  r.GET("/", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) { fmt.Fprint(w, "go") })
  panic(http.ListenAndServe(":"+os.Getenv("PORT"), r)) }
"""
GO_SUM = """\
github.com/julienschmidt/httprouter v1.3.0 h1:U0609e9tgbseu3rBINet9P48AI/D3oJs4dN7jwJOQ1U=
github.com/julienschmidt/httprouter v1.3.0/go.mod h1:JR6WtHb+2LUe8TCKY3cZOxFyyO8IZAc4RVcycCCAKdM=
"""
UV = (shutil.which("uv") or str(Path(__file__).parents[1] / ".tools" / "uv" / "bin" / "uv"),)
APPS = (
    App(
        "datasette",
        "uv.lock",
        {
            "pyproject.toml": PROJECT.format('["datasette==0.65.1", "setuptools<80"]'),
            "Procfile": "web: datasette serve --host 0.0.0.0 --port $PORT --memory\n",
        },
        "/-/versions.json",
        (*UV, "lock", "--quiet"),
    ),
    App(
        "radicale",
        "poetry.lock",
        {
            "pyproject.toml": PROJECT.format('["radicale==3.3.0"]')
            + "[tool.poetry]\npackage-mode = false\n"
            + '[[tool.poetry.source]]\nname = "public"\nurl = "https://pypi.org/simple/"\npriority = "primary"\n',
            "Procfile": "web: radicale --server-hosts 0.0.0.0:$PORT --storage-filesystem-folder /tmp/kept\n",
        },
        "/.web/",
        (*UV, "tool", "run", "--quiet", "poetry", "lock", "--quiet"),
    ),
    App(
        "pypiserver",
        "requirements.txt",
        {
            "requirements.in": "pypiserver==2.3.2\n",
            "packages/.keep": "",
            "Procfile": "web: pypi-server run -i 0.0.0.0 -p $PORT packages\n",
        },
        "/simple/",
        (*UV, "pip", "compile", "--quiet", "--generate-hashes", "requirements.in", "-o", "requirements.txt"),
    ),
    App(
        "json-server",
        "package-lock.json",
        {
            "package.json": node({"json-server": "0.17.4"}),
            "db.json": '{"posts": [{"id": 1}]}',
            "Procfile": "web: json-server --host 0.0.0.0 --port $PORT db.json\n",
        },
        "/posts",
        ("npm", "install", "--package-lock-only", "--silent", "--no-audit", "--no-fund"),
    ),
    App(
        "peer",
        "pnpm-lock.yaml",
        {"package.json": node({"peer": "1.0.2"}), "Procfile": "web: peerjs --port $PORT\n"},
        "/",
        ("pnpm", "install", "--lockfile-only", "--silent"),
    ),
    App(
        "http-server",
        "yarn.lock of Yarn 4",
        {"package.json": node({"http-server": "14.1.1"}), "Procfile": "web: http-server -p $PORT .\n"},
        "/package.json",
        ("yarn", "install", "--mode=update-lockfile"),
        env={"YARN_ENABLE_TELEMETRY": "0", "YARN_NODE_LINKER": "node-modules"},
    ),
    App(
        "httprouter",
        "go.mod",
        {
            "go.mod": "module app\n\ngo 1.19\n\nrequire github.com/julienschmidt/httprouter v1.3.0\n",
            "go.sum": GO_SUM,
            "main.go": MAIN_GO,
        },
    ),
    App("gson", "pom.xml", {"pom.xml": POM, "src/main/java/Main.java": MAIN_JAVA}),
)


def run(folder: Path, *command: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Raises: Failed, with what it wrote."""
    environ = {**os.environ, **IDENTITY, **(env or {})}
    ended = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise errors.Failed(f"{' '.join(map(str, command))}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")


def prepared(app: App, folder: Path, tools: Path) -> None:
    """The folder is a repository with the application and its lock file."""
    folder.mkdir()
    for name, text in app.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if app.making:
        if tool := TOOLS.get(app.making[0]):
            run(tools, "npm", "install", "--global", "--silent", "--prefix", tools, tool)
        run(folder, *app.making, env={"PATH": f"{tools}/bin:{os.environ['PATH']}", **app.env})
    shutil.rmtree(folder / ".yarn", ignore_errors=True)
    run(folder, "git", "init", "-q", "-b", "main")


async def built(app: App, folder: Path, access: Access, engine: Engine, log: list[str]) -> tuple[Image, float]:
    """The image of what is in the folder now, and how long that took."""

    async def note(step: str, text: str) -> None:
        log.append(f"{step}: {text}")

    await asyncio.to_thread(run, folder, "git", "add", "-A")
    await asyncio.to_thread(run, folder, "git", "commit", "-qm", "Bench", "--allow-empty")
    begun = time.perf_counter()
    bare = folder.with_name(f"{app.name}.git")
    commit = await source.fetch(bare, str(folder), "main")
    request = Request(app.name, commit, bare, BuildSpec(), access, engine, Limits(0, 2 << 30))
    return await image.build_and_push(request, note), time.perf_counter() - begun


@contextlib.asynccontextmanager
async def serving(engine: Engine, made: Image) -> AsyncIterator[tuple[str, str]]:
    """A container of the image, and its address."""
    async for _ in images.pull(engine, made.reference):
        pass
    body = {
        "Image": made.reference,
        "Env": ["PORT=8000"],
        "ExposedPorts": {"8000/tcp": {}},
        "HostConfig": {"PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}, "Init": True},
    }
    container = await containers.create(engine, body)
    try:
        await containers.start(engine, container)
        ports = (await containers.inspect(engine, container)).ports
        yield container, f"http://127.0.0.1:{ports['8000/tcp'][0].port}" if ports.get("8000/tcp") else ""
    finally:
        await containers.remove(engine, container, force=True)


async def answer(url: str) -> str:
    """The status and the beginning of what is answered, once something is."""
    last = "nothing"
    end = time.monotonic() + PATIENCE
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            try:
                async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
                    return f"{response.status} {(await response.text())[:40]!r}"
            except (aiohttp.ClientError, TimeoutError) as error:
                last = str(error)
            await asyncio.sleep(0.3)
    return last


async def tried(app: App, folder: Path, access: Access, engine: Engine) -> str:
    """One line of the table."""
    log: list[str] = []
    try:
        tools = folder / "tools"
        tools.mkdir(exist_ok=True)
        await asyncio.to_thread(prepared, app, folder / app.name, tools)
        first, cold = await built(app, folder / app.name, access, engine, log)
        _, warm = await built(app, folder / app.name, access, engine, log)
        async with serving(engine, first) as (container, url):
            said = await answer(url + app.path)
            if not said.startswith("200"):
                said += "".join([f.data.decode(errors="replace") async for f in containers.logs(engine, container)])
        await images.remove(engine, first.reference, force=True)
    except errors.PierError as error:
        return f"{app.name:20} {app.lock:20} FAILED {error}\n" + "\n".join(log[-5:])
    return f"{app.name:20} {app.lock:20} {cold:8.1f} s {warm:7.2f} s {first.size / 1e6:7.1f} MB  {said}"


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="Only these.")
    names = parser.parse_args().names
    chosen = [app for app in APPS if not names or app.name in names]
    KEPT.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="pier-recipes-") as name:
        folder = Path(name)
        async with registry.serving(folder, data=KEPT) as address, Engine(SOCKET) as engine:
            async with Registry(address) as connected:
                await bases.seed(connected)
            print(f"{'application':20} {'lock file':20} {'first':>10} {'next':>9} {'size':>10}  answer")
            for app in chosen:
                line = await tried(app, folder, Access(address), engine)
                failed += "FAILED" in line or "  200 " not in line
                print(line, flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
