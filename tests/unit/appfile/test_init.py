import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead import appfile
from pierhead.appfile import init
from pierhead.model.app import Spec


def drafted(files: dict[str, str], name: str = "notes") -> Spec:
    return appfile.read(init.init(files, name, "http://127.0.0.1/schema").text.encode()).spec("dev")


def test_a_dockerfile_wins_and_tells_its_port() -> None:
    found = drafted({"Dockerfile": "FROM x\nEXPOSE 9000/tcp\n", "package.json": "{}"})
    assert (found.build.dockerfile, found.ports[0].container_port) == ("Dockerfile", 9000)


def test_a_python_web_app_is_left_to_the_recipe() -> None:
    found = drafted({"requirements.txt": "Flask==3\n", "app.py": "", "notes/__main__.py": ""})
    assert (found.build.runtime, found.ports[0].container_port, found.command) == ("python", 8000, ())


def test_a_package_that_can_be_run_is_run() -> None:
    assert drafted({"pyproject.toml": "", "notes/__main__.py": ""}).command == ("python3", "-m", "notes")


def test_a_procfile_is_left_to_the_recipe() -> None:
    files = {"pyproject.toml": "gunicorn", "Procfile": "web: gunicorn x:app --bind :$PORT\nworker: y\n"}
    assert drafted(files).command == ()
    assert "Procfile says how it is started." in init.init(files, "a").reasons


def test_a_node_app_and_a_site_in_a_folder() -> None:
    server = {"scripts": {"start": "node ."}, "dependencies": {"express": "5"}}
    files = {"package.json": json.dumps(server)}
    found = drafted(files)
    assert (found.build.runtime, found.command, found.ports[0].container_port) == ("node", (), 3000)
    assert any("package-lock.json is not" in reason for reason in init.init(files, "a").reasons)
    found = drafted({"package.json": "{}", "dist/index.html": ""})
    assert (found.build.runtime, found.build.output) == ("static", "dist")


def test_a_repository_that_says_nothing_is_told_what_is_missing() -> None:
    assert init.init({"pyproject.toml": ""}, "a").reasons[1:3] == (
        "Neither uv.lock nor requirements.txt is: nothing is installed. `uv lock` writes one.",
        "Nothing says how it is started: add `command`.",
    )


def test_a_folder_of_pages() -> None:
    assert drafted({"index.html": ""}).build.runtime == "static"


@pytest.mark.parametrize(("name", "app"), [("My App!", "my-app"), ("42", "app"), ("x" * 60, "x" * 40), ("é", "app")])
def test_the_app_is_called_like_its_folder(name: str, app: str) -> None:
    assert drafted({}, name).app == app


@given(st.dictionaries(st.sampled_from([*init.READ, "index.html", "uv.lock"]), st.text()), st.text())
def test_every_draft_is_valid_and_says_why(files: dict[str, str], name: str) -> None:
    assert drafted(files, name).app
    assert init.init(files, name).reasons


@given(st.text(alphabet=st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1))
def test_any_procfile_makes_a_valid_draft(line: str) -> None:
    assert drafted({"Procfile": f"web: {line}"}).app == "notes"
