"""What would be built is told without building, and without any server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from typer.testing import CliRunner

from pierhead.cli import build

RUNNER = CliRunner()


def committed(folder: Path, **files: str) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")
    for arguments in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "One")):
        subprocess.run(["git", "-C", folder, *arguments], check=True)


def test_explain_says_what_is_recognised_and_why(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    committed(folder, requirements_txt="flask==3.1.0\n", app_py="print()\n", Procfile="web: python3 app.py\n")
    (folder / "package.json").write_text("{}")  # is in no commit
    found = RUNNER.invoke(build.app, [str(folder), "--explain", "--json"], env={"PIER_HOME": str(tmp_path / "nothing")})
    assert found.exit_code == 0, found.stderr
    told = json.loads(found.stdout)
    assert (told["kind"], told["reasons"]) == (
        "python",
        ["requirements.txt is there", "Procfile says how web is started"],
    )
    assert "base image: python" in told["steps"]
    assert "dependencies: requirements.txt, into /opt/venv" in told["steps"]
    assert not (tmp_path / "nothing").exists()


def test_explain_says_why_a_commit_cannot_be_built(tmp_path: Path) -> None:
    committed(tmp_path / "work", notes_txt="nothing to run")
    found = RUNNER.invoke(build.app, [str(tmp_path / "work"), "--explain"])
    assert (found.exit_code, "does not recognise what this commit is" in found.stderr) == (2, True)
    assert "runtime: python" in found.stderr
