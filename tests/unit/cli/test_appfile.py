import json
from pathlib import Path

from typer.testing import CliRunner

from pierhead.cli import appfile, config

RUNNER = CliRunner()


def test_init_writes_a_file_that_validate_accepts(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("flask\n")
    written = RUNNER.invoke(appfile.app, ["init", str(tmp_path)])
    assert (written.exit_code, "requirements.txt is there: a Python app." in written.stderr) == (0, True)
    assert (tmp_path / "pier.yaml").read_text().startswith("# yaml-language-server: $schema=http://")
    assert RUNNER.invoke(appfile.app, ["validate", str(tmp_path)]).exit_code == 0
    again = RUNNER.invoke(appfile.app, ["init", str(tmp_path)])
    assert (again.exit_code, "--force" in again.stderr) == (5, True)
    assert RUNNER.invoke(appfile.app, ["init", str(tmp_path), "--force"]).exit_code == 0


def test_validate_tells_every_mistake_and_ends_with_2(tmp_path: Path) -> None:
    file = tmp_path / "pier.yaml"
    file.write_text("app: x\nprots: {}\nreplicas: many\n")
    ended = RUNNER.invoke(appfile.app, ["validate", str(file), "--json"])
    found = json.loads(ended.stderr)["error"]["problems"]
    assert ended.exit_code == 2
    assert [problem["place"] for problem in found] == [f"{file}:2 prots", f"{file}:3 replicas"]


def test_validate_shows_what_holds_in_an_environment(tmp_path: Path) -> None:
    (tmp_path / "pier.yaml").write_text("app: x\nenvironments: {production: {replicas: 3}}\n")
    ended = RUNNER.invoke(appfile.app, ["validate", str(tmp_path), "-e", "production"])
    assert json.loads(ended.stdout)["environments"]["production"]["replicas"] == 3


def test_validate_without_a_file_says_how_to_get_one(tmp_path: Path) -> None:
    ended = RUNNER.invoke(appfile.app, ["validate", str(tmp_path)])
    assert (ended.exit_code, "pier init" in ended.stderr) == (4, True)


def test_the_settings_are_shown_with_their_origin(tmp_path: Path) -> None:
    file = tmp_path / "pier.toml"
    file.write_text('[catalog]\ntoken = "s3cret"\n')
    ended = RUNNER.invoke(config.app, ["show", "--config", str(file), "--json"], env={"PIER_DOMAIN": "corp.example"})
    found = {row["setting"]: row for row in json.loads(ended.stdout)}
    assert found["catalog.token"] == {"setting": "catalog.token", "value": "********", "from": f"{file}:2"}
    assert found["domain"]["from"] == "PIER_DOMAIN"


def test_the_example_settings_are_printed() -> None:
    assert "[gateway]" in RUNNER.invoke(config.app, ["example"]).stdout
