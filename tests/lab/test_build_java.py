"""Java apps really become images: by Maven in `bench/recipes.py`, and here compiled by a command or as a jar."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from tests.lab.build_images_lab import get, placed

from pierhead.model.app import BuildSpec
from pierhead.wire.oci.client import Registry

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="base images are made as root"),
]

MAIN = """\
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Main {
    public static void main(String[] arguments) throws Exception {
        var server = HttpServer.create(new InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
        server.createContext("/", exchange -> {
            var heap = String.valueOf(Runtime.getRuntime().maxMemory() > 0).getBytes();
            exchange.sendResponseHeaders(200, heap.length);
            exchange.getResponseBody().write(heap);
            exchange.close();
        });
        server.start();
    }
}
"""
JAVAC, JAR = "java -m jdk.compiler/com.sun.tools.javac.Main", "java -m jdk.jartool/sun.tools.jar.Main"
"""The compiler, which the base image has without its program."""
COMMAND = f"{JAVAC} -d out Main.java && {JAR} --create --file app.jar --main-class Main -C out . && rm -r out Main.java"


async def test_a_java_app_is_compiled_by_its_command_and_the_jar_alone_is_an_app_too(tmp_path: Path) -> None:
    async with placed(tmp_path, ["java"]) as place:
        folder = place.repository()
        (folder / "Main.java").write_text(MAIN)
        (folder / "Procfile").write_text("web: java -jar app.jar\n")
        made = await place.build(folder, "java", BuildSpec(runtime="java", command=("sh", "-c", COMMAND)))
        async with place.running(made) as url:
            assert (await get(url))[::2] == (200, "true")
        async with Registry(place.registry) as connected:
            found = await connected.manifest("java", made.reference.partition("@")[2])
            assert found
            await connected.fetch_blob("java", found.value["layers"][-1]["digest"], tmp_path / "layer")
        alone = place.repository()
        with tarfile.open(tmp_path / "layer") as tar:
            assert {"app/app.jar", "app/Main.java"} & set(tar.getnames()) == {"app/app.jar"}
            jar = tar.extractfile("app/app.jar")
            assert jar
            (alone / "shop-1.0.jar").write_bytes(jar.read())
        made = await place.build(alone, "jar")
        assert "recipe: java: shop-1.0.jar is there" in place.log
        async with place.running(made) as url:
            assert (await get(url))[::2] == (200, "true")
