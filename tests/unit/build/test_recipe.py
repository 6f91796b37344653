"""What is recognised, why, and what will be done."""

from __future__ import annotations

import json

import pytest

from pierhead.build import recipe
from pierhead.build.ingredients import Files
from pierhead.kit import errors
from pierhead.model.app import BuildSpec


def files(*names: str, **contents: str | bytes) -> Files:
    """Contents by name, with `__` for a dot."""
    found = {
        name.replace("__", "."): text.encode() if isinstance(text, str) else text for name, text in contents.items()
    }
    return Files(frozenset([*names, *found]), found)


def explained(found: Files, spec: BuildSpec | None = None) -> str:
    return "\n".join(recipe.choose(found, spec or BuildSpec()).explain())


def test_a_dockerfile_comes_first() -> None:
    assert explained(files("Dockerfile", "package.json", "index.html")) == "dockerfile: there is a Dockerfile"
    assert "pier.yaml names it" in explained(files("deploy/Dockerfile"), BuildSpec(dockerfile="deploy/Dockerfile"))


def test_a_runtime_that_is_asked_for_comes_before_what_is_seen() -> None:
    assert explained(files("Dockerfile", "index.html"), BuildSpec(runtime="static")).startswith("static: pier.yaml")


def test_a_python_app_with_a_procfile() -> None:
    found = files(
        "app.py", requirements__txt="flask==3.1.3\n", Procfile="release: x\nweb: gunicorn -b :$PORT app:app\n"
    )
    assert explained(found).splitlines() == [
        "python: requirements.txt is there, Procfile says how web is started",
        "base image: python",
        "dependencies: requirements.txt, into /opt/venv",
        "starts with: /bin/sh -c 'exec gunicorn -b :$PORT app:app'",
    ]


@pytest.mark.parametrize(
    ("listed", "module", "text", "command"),
    [
        ("gunicorn", "app", "app = Flask(__name__)", "exec gunicorn --bind 0.0.0.0:${PORT:-8000} app:app"),
        ("gunicorn", "wsgi", "", "exec gunicorn --bind 0.0.0.0:${PORT:-8000} wsgi:app"),
        ("uvicorn", "main", "api = fastapi.FastAPI()", "exec uvicorn main:api --host 0.0.0.0 --port ${PORT:-8000}"),
        ("requests", "main", "", "main.py"),
    ],
)
def test_how_a_python_app_is_started_is_found_by_looking(listed: str, module: str, text: str, command: str) -> None:
    found = files(requirements__txt=f"{listed}==1\n", **{f"{module}__py": text})
    assert recipe.choose(found, BuildSpec()).command[-1] == command


def test_uv_lock_comes_before_requirements() -> None:
    chosen = recipe.choose(files(uv__lock="v", pyproject__toml="p", requirements__txt="r"), BuildSpec())
    assert chosen.dependencies
    assert chosen.dependencies.lock == "uv.lock"
    assert set(chosen.dependencies.inputs) == {"uv.lock", "pyproject.toml"}


def test_dependencies_without_a_lock_file_are_refused() -> None:
    with pytest.raises(errors.Invalid, match="no lock file"):
        explained(files(pyproject__toml='[project]\ndependencies = [\n  "flask",\n]\n'))
    with pytest.raises(errors.Invalid, match="no lock file"):
        explained(files(package__json='{"dependencies": {"express": "5"}}'))


def test_a_node_app() -> None:
    found = files(package__json='{"scripts": {"start": "node server.js"}}', **{"package-lock__json": "{}"})
    assert explained(found).splitlines() == [
        "node: package.json is there, package.json has a script start",
        "base image: node",
        "dependencies: package-lock.json, into /app/node_modules",
        "starts with: /bin/sh -c 'exec node server.js'",
    ]


def test_scripts_of_package_json_do_not_change_the_dependency_layer() -> None:
    def key(package: dict[str, object]) -> str:
        found = files(package__json=json.dumps(package), **{"package-lock__json": "{}"})
        chosen = recipe.choose(found, BuildSpec()).dependencies
        assert chosen
        assert b"prepare" not in chosen.inputs["package.json"]
        return chosen.key("sha256:base")

    plain: dict[str, object] = {"dependencies": {"a": "1"}}
    assert key(plain) == key({**plain, "scripts": {"prepare": "husky"}})
    assert key(plain) != key({"dependencies": {"a": "2"}})


def test_a_dependency_layer_has_the_key_of_all_that_decides_it() -> None:
    def key(lock: str, base: str) -> str:
        chosen = recipe.choose(files(requirements__txt=lock), BuildSpec()).dependencies
        assert chosen
        return chosen.key(base)

    assert len({key("a==1", "x"), key("a==2", "x"), key("a==1", "y"), key("a==1", "x")}) == 3


def test_a_site_and_a_site_that_is_made() -> None:
    assert "PIER_SITE" in recipe.choose(files("index.html"), BuildSpec()).env
    spec = BuildSpec(command=("npm", "run", "build"), output="dist")
    made = recipe.choose(files(package__json="{}", **{"package-lock__json": "{}"}), spec)
    assert made.kind == "static"
    assert made.work
    assert made.work.script.splitlines()[0].startswith("npm ci")
    assert made.work.script.splitlines()[1] == "npm run build"
    assert made.env["PIER_SITE"] == "/app/dist"


def test_an_image_of_the_owners_own_is_base_and_builder() -> None:
    chosen = recipe.choose(files(requirements__txt="a==1"), BuildSpec(base="registry.internal/python:3.9"))
    assert chosen.dependencies
    assert (chosen.base, chosen.dependencies.builder) == ("registry.internal/python:3.9",) * 2
    plain = recipe.choose(files("run.sh"), BuildSpec(base="alpine:3"))
    assert (plain.kind, plain.base) == ("plain", "alpine:3")


@pytest.mark.parametrize(
    ("found", "spec", "reason"),
    [
        (files("README.md"), BuildSpec(), "does not recognise"),
        (files(), BuildSpec(dockerfile="Dockerfile"), "has no Dockerfile"),
        (files("README.md"), BuildSpec(runtime="static"), r"needs a page index\.html"),
        (files(package__json="{"), BuildSpec(), "is not JSON"),
        (files(package__json="[]"), BuildSpec(), "is not a JSON object"),
        (files(package__json=b"\xff"), BuildSpec(), "is not JSON"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(found: Files, spec: BuildSpec, reason: str) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        recipe.choose(found, spec)


@pytest.mark.parametrize(
    ("lock", "text", "package", "installed"),
    [
        ("package-lock.json", "{}", {}, "npm ci --omit=dev"),
        ("yarn.lock", "# yarn lockfile v1", {}, "yarn install --frozen-lockfile"),
        ("yarn.lock", "__metadata:\n  version: 8", {}, "yarn workspaces focus --production"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'", {}, "silent {q} pnpm@9\n"),
        ("pnpm-lock.yaml", "lockfileVersion: 5.4", {}, "silent {q} pnpm@7\n"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'", {"packageManager": "pnpm@10.4.1+sha512.x"}, "pnpm@10.4.1\n"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'", {"packageManager": "pnpm@10; rm -rf /"}, "silent {q} pnpm@9\n"),
    ],
)
def test_node_packages_are_installed_by_whose_lock_file_it_is(
    lock: str, text: str, package: dict[str, str], installed: str
) -> None:
    value = json.dumps({"dependencies": {"a": "1"}, "scripts": {"start": "node x"}, **package})
    found = recipe.choose(Files(frozenset(), {"package.json": value.encode(), lock: text.encode()}), BuildSpec())
    assert found.dependencies
    assert found.dependencies.lock == lock
    quiet = "--no-audit --no-fund --no-update-notifier --cache /tmp/npm"
    assert installed.replace("{q}", quiet) in found.dependencies.script
    assert "rm -rf /" not in found.dependencies.script.replace("rm -rf node_modules", "")


def test_poetry_locks_are_exported_and_installed_by_pip() -> None:
    found = files("app.py", poetry__lock="x", pyproject__toml="[project]", requirements__txt="flask")
    chosen = recipe.choose(found, BuildSpec())
    assert chosen.dependencies
    assert chosen.dependencies.lock == "poetry.lock"
    assert "poetry export" in chosen.dependencies.script
    assert "uv" not in chosen.dependencies.lock


@pytest.mark.parametrize(
    ("listed", "names", "command"),
    [
        (
            "gunicorn",
            ("manage.py", "shop/wsgi.py", "shop/asgi.py"),
            "gunicorn --bind 0.0.0.0:${PORT:-8000} shop.wsgi:app",
        ),
        ("uvicorn", ("manage.py", "shop/wsgi.py", "shop/asgi.py"), "uvicorn shop.asgi:application --host 0.0.0.0"),
        ("hypercorn", ("app.py",), "hypercorn --bind 0.0.0.0:${PORT:-8000} app:app"),
        ("waitress", ("wsgi.py",), "waitress-serve --listen=0.0.0.0:${PORT:-8000} wsgi:app"),
    ],
)
def test_the_application_is_found_for_the_server_that_is_listed(
    listed: str, names: tuple[str, ...], command: str
) -> None:
    chosen = recipe.choose(files(*names, requirements__txt=f"{listed}==1\n"), BuildSpec())
    assert command in chosen.command[-1]


def test_java_is_packaged_by_maven_or_run_as_it_is() -> None:
    assert explained(files("pom.xml", "src/main/java/A.java")).splitlines() == [
        "java: pom.xml is there, Maven packages it in a build container",
        "base image: java",
        "dependencies: pom.xml, into /opt/maven",
        'build: mv "$1" /app/.run/app.jar',
        "starts with: java -jar .run/app.jar",
    ]
    chosen = recipe.choose(files("target/shop-1.0.jar", "target/shop-1.0-sources.jar", "README.md"), BuildSpec())
    assert (chosen.kind, chosen.command) == ("java", ("java", "-jar", "target/shop-1.0.jar"))
    assert not chosen.dependencies
    with pytest.raises(errors.Invalid, match="one jar or war"):
        recipe.choose(files("a.jar", "b.jar"), BuildSpec(runtime="java"))


def test_go_is_compiled_or_run_as_it_is() -> None:
    chosen = recipe.choose(files("go.mod", "cmd/shop/main.go"), BuildSpec())
    assert chosen.work
    assert "go build -trimpath" in chosen.work.script
    assert "./cmd/shop" in chosen.work.script
    assert chosen.work.script.endswith("mv /tmp/made/* /app/.run/app"), "also where the program's own name is app"
    assert chosen.command == ("/app/.run/app",)
    program = Files(frozenset({"bin/shop", "run.sh", "README.md"}), {}, frozenset({"bin/shop", "run.sh"}))
    assert explained(program).splitlines() == [
        "go: bin/shop is the only program",
        "base image: debian",
        "starts with: /app/bin/shop",
    ]


def test_a_plain_commit_runs_its_build_command_in_its_base() -> None:
    found = recipe.choose(files("x", Procfile="web: ./x"), BuildSpec(base="company/base:1", command=("make",)))
    assert found.work
    assert (found.work.script, found.work.builder) == ("make", "company/base:1")
