"""Commits really become images: pushed to a real registry, run by a real engine, answering."""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
import tempfile
import uuid
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tests.lab.build_images_lab import LABEL, Place, eventually, get, placed

from pierhead.build import image, kitchen, source
from pierhead.kit import errors
from pierhead.kit.address import own as own_address
from pierhead.model.app import BuildSpec, TestSpec
from pierhead.testing import bases, registry
from pierhead.testing.ports import free_port
from pierhead.testing.registry import Guard
from pierhead.wire.docker import containers
from pierhead.wire.docker import images as engine_images
from pierhead.wire.oci.access import Access, Account
from pierhead.wire.oci.client import Registry

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(os.geteuid() != 0, reason="base images are made as root"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with placed(tmp_path_factory.mktemp("images"), tuple(bases.OWN)) as found:
        yield found


async def building(place: Place) -> list[str]:
    """The build containers of this registry's images: others may build on the same engine."""
    found = await containers.listing(place.engine, {"label": [kitchen.LABEL]}, all_=True)
    return [one.id for one in found if one.image.startswith(place.registry)]


async def test_a_site_is_served_with_its_types_and_without_stale_pages(place: Place) -> None:
    folder = place.repository("site")
    (folder / "app.0123abcd.js").write_text("let a = 1")
    (folder / "module.mjs").write_text("export default 1")
    (folder / "guide").mkdir()
    (folder / "guide" / "index.html").write_text("guide")
    (folder / ".secret").write_text("no")
    made = await place.build(folder, "site")
    async with place.running(made) as url:
        status, headers, text = await get(url)
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert headers["Cache-Control"] == "no-cache"
        assert "git commit" in text
        _, headers, _ = await get(f"{url}/app.0123abcd.js")
        assert headers["Content-Type"].startswith("application/javascript")
        assert "immutable" in headers["Cache-Control"]
        assert (await get(f"{url}/module.mjs"))[1]["Content-Type"].startswith("text/javascript")
        assert (await get(f"{url}/guide"))[::2] == (200, "guide")
        assert (await get(f"{url}/nothing"))[::2] == (404, (folder / "404.html").read_text())
        assert [(await get(f"{url}/{name}"))[0] for name in (".secret", "pier.yaml", "404.html")] == [404] * 3
        fresh = {"If-None-Match": str((await get(url))[1]["Etag"])}
        assert (await get(url, headers=fresh))[0] == 304


async def test_the_same_commit_is_the_same_image_and_a_new_one_only_new_code(place: Place) -> None:
    folder = place.repository("site")
    first = await place.build(folder, "site-again")
    again = await place.build(folder, "site-again")
    other = await source.fetch(folder.with_name("other.git"), str(folder), "main~1")
    same = await image.build_and_push(place.request(other, folder.with_name("other.git"), "site-again"), place.note)
    assert same.reference == first.reference
    assert same.pushed == 0
    assert again.reference != first.reference, "a new commit has its own label and time"
    assert "base" in again.reused


async def test_notes_is_built_from_its_lock_file_and_keeps_notes(place: Place) -> None:
    folder = place.repository("notes")
    made = await place.build(folder, "notes")
    async with place.running(made) as url:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/api/notes", json={"text": "Hello"}) as response:
                assert response.status == 201
            async with session.post(f"{url}/api/notes", json={"text": " "}) as response:
                assert response.status == 400
        assert '"Hello"' in (await get(f"{url}/api/notes"))[2]
        assert "Hello" in (await get(url))[2]
    (folder / "app.py").write_text((folder / "app.py").read_text() + "# changed\n")
    again = await place.build(folder, "notes")
    assert "dependencies" in again.reused
    assert again.pushed < 20_000
    copy = await place.build(place.repository("notes"), "another")
    assert "dependencies" in copy.reused
    assert await building(place) == []


async def test_nothing_of_this_machine_is_in_the_dependency_layer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TRUSTED_HOST", "mirror-of-this-machine.internal")
    folder = place.repository("notes")
    with (folder / "requirements.txt").open("a") as listed:
        listed.write(f"# {uuid.uuid4()}\n")
    made = await place.build(folder, "lent")
    async with Registry(place.registry) as connected:
        found = await connected.manifest("lent", made.reference.partition("@")[2])
        assert found
        config = await connected.json_blob("lent", found.value["config"]["digest"])
        assert "mirror" not in str(config)
        await connected.fetch_blob("lent", found.value["layers"][1]["digest"], place.folder / "layer")
    with tarfile.open(place.folder / "layer") as tar:
        members = tar.getmembers()
        assert {member.name.split("/")[0] for member in members} == {"opt"}
        assert {(member.uid, member.mtime) for member in members} == {(0, 0)}
        assert any(member.name.endswith(".pyc") for member in members)
        for member in members:
            content = tar.extractfile(member) if member.isreg() else None
            assert content is None or b"mirror-of-this-machine" not in content.read()


async def test_a_lock_file_that_does_not_resolve_fails_with_its_reason_and_leaves_nothing(place: Place) -> None:
    folder = place.repository()
    (folder / "app.py").write_text("print()\n")
    (folder / "requirements.txt").write_text("blinker==999.0.0\n")
    with pytest.raises(errors.Failed, match=r"blinker==999\.0\.0") as caught:
        await place.build(folder, "unresolved")
    assert "requirements.txt" in caught.value.hint
    assert await building(place) == []
    (folder / "requirements.txt").write_text("blinker==1.9.0\n")
    await place.build(folder, "unresolved")


async def test_a_cancelled_build_leaves_no_container(place: Place) -> None:
    folder = place.repository("notes")
    (folder / "requirements.txt").write_text("blinker==1.9.0  # slow\n")
    spec = BuildSpec(command=("sh", "-c", "echo it has begun; sleep 300"))
    working = asyncio.get_running_loop().create_task(place.build(folder, "cancelled", spec))

    async def begun() -> bool:
        return "build: it has begun" in place.log

    await eventually(begun, timedelta(minutes=3))
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await building(place) == []


async def test_the_owners_command_makes_the_site(place: Place) -> None:
    folder = place.repository()
    (folder / "make.sh").write_text(
        "mkdir dist\necho ok > dist/healthz\ndate +%N > dist/when\ncp make.sh dist/index.html\n"
    )
    spec = BuildSpec(runtime="static", command=("sh", "make.sh"), output="dist")
    made = await place.build(folder, "made", spec)
    async with place.running(made) as url:
        when = (await get(f"{url}/when"))[2]
        assert (await get(f"{url}/make.sh"))[0] == 404
    commit = await source.fetch(folder.with_name("bare.git"), str(folder), "main")
    request = place.request(commit, folder.with_name("bare.git"), "made", spec)
    same = await image.build_and_push(request, place.note)
    assert same.reference == made.reference, f"made once, at {when}"
    assert same.pushed == 0


async def test_a_dockerfile_is_built_on_a_base_that_is_made_for_it(place: Place) -> None:
    folder = place.repository("hello-dockerfile")
    made = await place.build(folder, "hello")
    async with place.running(made) as url:
        assert "Hello from" in (await get(url))[2]
    commit = await source.fetch(folder.with_name("bare.git"), str(folder), "main")
    request = place.request(commit, folder.with_name("bare.git"), "hello")
    assert (await image.build_and_push(request, place.note)).reference == made.reference
    (folder / "Dockerfile").write_text((folder / "Dockerfile").read_text() + "RUN echo it is broken >&2; exit 3\n")
    with pytest.raises(errors.Failed, match="it is broken"):
        await place.build(folder, "hello")


async def test_a_secret_of_a_dockerfile_is_read_and_is_in_no_layer_and_no_log(place: Place) -> None:
    folder, value = place.repository(), f"value-{uuid.uuid4()}"
    (folder / "Dockerfile").write_text(
        "ARG PIER_REGISTRY\nFROM ${PIER_REGISTRY}/base/static:bookworm AS first\nARG WHO=nobody\n"
        "RUN --mount=type=secret,id=token test $(cat /run/secrets/token | wc -c) = 42 && "
        'echo "made for $WHO" > /made\nFROM first AS unwanted\nRUN exit 3\n'
    )
    spec = BuildSpec(secrets=("token",), args={"WHO": "Ada"}, target="first")
    made = await place.build(folder, "secretive", spec, {"token": value.encode()})
    assert any("by BuildKit: build.secrets" in line for line in place.log)
    assert value not in "".join(place.log)
    async with Registry(place.registry) as connected:
        found = await connected.manifest("secretive", made.reference.partition("@")[2])
        assert found
        config = await connected.blob("secretive", found.value["config"]["digest"])
        assert value.encode() not in config
        layers = [await connected.blob("secretive", one["digest"]) for one in found.value["layers"]]
    contents = [zlib.decompress(one, 31) for one in layers]
    assert b"made for Ada" in contents[-1]
    assert not [one for one in contents if value.encode() in one]
    with pytest.raises(errors.Failed, match="exit code: 3"):
        await place.build(folder, "secretive", replace(spec, target=""), {"token": value.encode()})
    (folder / "Dockerfile").unlink()
    (folder / "index.html").touch()
    with pytest.raises(errors.Invalid, match=r"build\.secrets is for a Dockerfile"):
        await place.build(folder, "secretive", spec, {"token": value.encode()})


async def test_a_node_app_gets_the_packages_that_it_runs_with_and_what_its_build_makes(place: Place) -> None:
    folder = place.repository("clock")
    async with place.running(await place.build(folder, "clock")) as url:
        assert "Clock" in (await get(url))[2]
    server = (folder / "server.js").read_text()
    (folder / "server.js").unlink()
    (folder / "server.src").write_text(server.replace(">Clock<", ">Made clock<"))
    spec = BuildSpec(command=("cp", "server.src", "server.js"))
    made = await place.build(folder, "clock", spec)
    assert "dependencies" in made.reused
    async with place.running(made) as url:
        assert "Made clock" in (await get(url))[2]


async def test_a_package_that_must_be_compiled_is_compiled_beside_a_compiler(place: Place) -> None:
    folder = place.repository()
    (folder / "requirements.txt").write_text("--no-binary psutil\npsutil==7.0.0\n")
    (folder / "healthz").write_text("ok")
    (folder / "app.py").write_text(
        "import os, psutil\nos.execvp('python3', ['python3', '-m', 'http.server', '8000'])\n"
    )
    async with place.running(await place.build(folder, "compiled")):
        assert any("beside a compiler" in line for line in place.log)


async def test_odd_files_arrive_in_the_container(place: Place) -> None:
    folder = place.repository("site")
    odd = [b"line\nbreak", b"not-\xff-utf8", "日本語".encode()]
    for name in odd:
        (folder / os.fsdecode(name)).write_bytes(b"odd")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("healthz")
    made = await place.build(folder, "odd")
    async with place.running(made) as url:
        assert (await get(f"{url}/link"))[2] == "ok\n"
        assert (await get(f"{url}/%E6%97%A5%E6%9C%AC%E8%AA%9E"))[2] == "odd"
    container = await containers.create(place.engine, {"Image": made.reference, "Labels": {LABEL: "build"}})
    try:
        async with containers.archive(place.engine, container, "/app") as pieces:
            (folder.parent / "app.tar").write_bytes(b"".join([piece async for piece in pieces]))
    finally:
        await containers.remove(place.engine, container)
    with tarfile.open(folder.parent / "app.tar", errors="surrogateescape") as tar:
        found = {os.fsencode(member.name): member for member in tar}
    assert {b"app/" + name for name in odd} <= found.keys()
    assert (found[b"app/run"].mode & 0o777, found[b"app/link"].linkname) == (0o755, "healthz")


async def test_an_image_from_elsewhere_is_brought_into_the_registry_once(place: Place) -> None:
    empty = kitchen_tar()
    name = f"elsewhere-{uuid.uuid4().hex[:8]}"
    await engine_images.import_(place.engine, empty, name, "1")
    folder = place.repository()
    (folder / "hello").write_text("x")
    try:
        made = await place.build(folder, "plain", BuildSpec(base=f"{name}:1"))
        async with Registry(place.registry) as connected:
            found = await connected.manifest("plain", made.reference.partition("@")[2])
            assert found
            assert len(found.value["layers"]) == 2
        with pytest.raises(errors.NotFound, match="cannot be had"):
            await place.build(folder, "plain", BuildSpec(base=f"127.0.0.1:{free_port()}/nothing:1"))
    finally:
        await engine_images.remove(place.engine, f"{name}:1", force=True)


async def test_a_registry_that_is_down_is_said(place: Place) -> None:
    folder = place.repository("site")
    await place.build(folder, "down")
    commit = await source.fetch(folder.with_name("bare.git"), str(folder), "main")
    nowhere = f"127.0.0.1:{free_port()}"
    request = replace(place.request(commit, folder.with_name("bare.git"), "down"), registry=Access(nowhere))
    with pytest.raises(errors.Unavailable, match=nowhere):
        await image.build_and_push(request, place.note)


async def test_a_registry_elsewhere_is_used_with_its_account_and_its_own_authority(place: Place) -> None:
    guard = Guard(Account("robot", "right-horse"), host=own_address())
    folder = Path(tempfile.mkdtemp(dir=place.folder))
    async with registry.serving(folder, guard) as address:
        access = guard.access(folder, f"{address}/team/cloud")
        trusted = Path("/etc/docker/certs.d") / address
        trusted.mkdir(parents=True)
        shutil.copy(access.ca_file, trusted / "ca.crt")
        try:
            async with Registry(access) as connected:
                await bases.seed(connected, ["static"])
            there = replace(place, access=access)
            made = await there.build(there.repository("site"), "site")
            async with there.running(made) as url:
                assert "git commit" in (await get(url))[2]
            folder = there.repository()
            (folder / "Dockerfile").write_text(
                "ARG PIER_REGISTRY\nFROM ${PIER_REGISTRY}/base/static:bookworm\nRUN echo ok > /a\n"
            )
            made = await there.build(folder, "written")
            assert made.reference.startswith(f"{address}/team/cloud/written@sha256:")
            await engine_images.remove(place.engine, made.reference, force=True)
            spec = BuildSpec(test=TestSpec(command=("grep", "ok", "/a")))
            (folder / "more").touch()
            made = await there.build(folder, "written", spec)
            await engine_images.remove(place.engine, made.reference, force=True)
            bare = folder.with_name("bare.git")
            commit = await source.fetch(bare, str(folder), "main")
            outcome = await image.tried(there.request(commit, bare, "written", spec), made, place.note)
            assert outcome
            assert outcome.failure is None, "the engine pulls with the account"
            wrong = replace(there, access=replace(access, account=Account("robot", "wrong-horse")))
            for one in (folder, wrong.repository("site")):
                (one / "again").touch()
                with pytest.raises(errors.Denied, match="401") as caught:
                    await wrong.build(one, "refused")
                assert "wrong-horse" not in f"{caught.value} {caught.value.hint} {place.log}"
        finally:
            shutil.rmtree(trusted)


def kitchen_tar() -> bytes:
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            member = tarfile.TarInfo("etc")
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
        file.seek(0)
        return file.read()
