"""The reference says what the code says."""

import re
import runpy
from pathlib import Path

import pytest
from pydantic import BaseModel

from pierhead import appfile
from pierhead.appfile import host_schema, schema
from pierhead.catalog import reference as catalog
from pierhead.catalog.endpoints import routes
from pierhead.settings import describe, load

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
PAGES: dict[str, str] = runpy.run_path(str(REFERENCE / "generate.py"))["pages"]()

PARTS: list[type[BaseModel]] = [
    schema.App,
    schema.Build,
    schema.Port,
    schema.Health,
    schema.Resources,
    schema.Volume,
    schema.Deploy,
    schema.Stage,
    schema.Gate,
    schema.Hooks,
    schema.Placement,
    schema.Test,
    schema.TestService,
]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_generates(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name], "run `python docs/reference/generate.py`"


def test_every_setting_is_documented() -> None:
    page = (REFERENCE / "settings.md").read_text()
    assert [s.key for s in describe.all_settings().values() if f"`{s.variable}`" not in page or not s.text] == []


def test_every_field_of_the_app_file_is_documented() -> None:
    page = (REFERENCE / "pier-yaml.md").read_text()
    for part in PARTS:
        assert [name for name, field in part.model_fields.items() if not field.description] == []
        assert [name for name in part.model_fields if f"- **{name}** (" not in page] == []


def test_every_field_of_a_file_of_host_services_is_documented() -> None:
    page = (REFERENCE / "services-d.md").read_text()
    for part in (host_schema.File, host_schema.Service, host_schema.Check):
        assert [name for name, field in part.model_fields.items() if not field.description] == []
        assert [name for name in part.model_fields if f"- **{name}** (" not in page] == []


def test_every_command_and_each_of_its_parameters_is_explained() -> None:
    lines = (REFERENCE / "commands.md").read_text().splitlines()
    parameters = [line for line in lines if line.startswith("- ")]
    assert len([line for line in lines if line.startswith("## pier ")]) > 20
    assert [line for line in parameters if ": " not in line] == []


def test_the_example_settings_are_valid(tmp_path: Path) -> None:
    example = (REFERENCE / "pier.example.toml").read_text()
    file = tmp_path / "pier.toml"
    file.write_text(re.sub(r"^#(?=\S)", "", example, flags=re.MULTILINE))
    assert load.load(file, {}, {}) == load.settings({})


def test_the_app_file_of_every_example_is_valid() -> None:
    for file in sorted((ROOT / "examples").glob("*/pier.yaml")):
        assert appfile.read(file.read_bytes(), str(file)).app


def test_every_parameter_of_the_catalog_s_page_is_of_a_path_that_is_there() -> None:
    assert catalog._PARAMETERS.keys() <= routes.ROUTES.keys()


def test_every_word_of_the_design_is_in_the_glossary() -> None:
    words = (ROOT / "docs/words.md").read_text()
    wanted = "app environment build image release deployment instance node service endpoint route gateway record"
    assert [word for word in wanted.split() if f"**{word}**" not in words] == []
