import re
from datetime import timedelta
from pathlib import Path

import pytest

from pierhead.kit import errors
from pierhead.settings import Settings, describe, load


def written(folder: Path, text: str) -> Path:
    file = folder / "pier.toml"
    file.write_text(text)
    return file


def problems(
    file: Path | None, environ: dict[str, str] | None = None, flags: dict[str, str] | None = None
) -> list[str]:
    with pytest.raises(errors.Invalid) as caught:
        load.load(file, {"PIER_HOME": "/nowhere", **(environ or {})}, flags or {})
    return [str(problem) for problem in caught.value.problems]


def test_nothing_said_means_the_defaults() -> None:
    assert load.load(None, {"PIER_HOME": "/var/lib/pierhead", "PATH": "/bin"}, {}) == Settings()


def test_the_example_is_valid_and_says_the_defaults(tmp_path: Path) -> None:
    example = re.sub(r"^#(?=\S)", "", describe.example(), flags=re.MULTILINE)
    assert load.load(written(tmp_path, example), {}, {}) == Settings()
    assert load.load(written(tmp_path, describe.example()), {}, {}) == Settings()


def test_a_flag_beats_a_variable_which_beats_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'domain = "file"\ncluster = "file"\nlog_level = "ERROR"\n[gateway]\nhttp_port = 80\n')
    environ = {"PIER_DOMAIN": "variable", "PIER_CLUSTER": "variable", "PIER_GATEWAY_DRAIN_LIMIT": "90s"}
    found = load.load(file, environ, {"cluster": "flag", "build.memory_bytes": "1GiB"})
    assert (found.domain, found.cluster, found.log_level, found.gateway.http_port) == ("variable", "flag", "ERROR", 80)
    assert (found.gateway.drain_limit, found.build.memory_bytes) == (timedelta(seconds=90), 1 << 30)


def test_each_value_knows_its_origin(tmp_path: Path) -> None:
    file = written(tmp_path, "\n[gateway]\nhttp_port = 80\n")
    found = load.explain(file, {"PIER_DOMAIN": "corp.example"}, {"api.port": "4000"})
    origins = {key: found[key].origin for key in ("gateway.http_port", "domain", "api.port", "api.host")}
    assert origins == {
        "gateway.http_port": f"{file}:3",
        "domain": "PIER_DOMAIN",
        "api.port": "flag",
        "api.host": "default",
    }


def test_every_mistake_is_told_with_its_place_and_the_nearest_name(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'domian = "x"\napi = 3\n[gateway]\nhttp_prt = 80\nadmin_port = "80"\ndrain_limit = "5 minutes"\n'
        "[resolvr]\nport = 53\n",
    )
    assert problems(file, {"PIER_GATEWAY_HTTP_PROT": "80", "PIER_API_PORT": "x"}, {"log_level": "LOUD"}) == [
        f"{file}:1 domian: there is no such setting (did you mean domain?)",
        f"{file}:2 api: is a section: write [api]",
        f"{file}:4 gateway.http_prt: there is no such setting (did you mean gateway.http_port?)",
        f"{file}:5 gateway.admin_port: must be a whole number, not '80'",
        f"{file}:6 gateway.drain_limit: '5 minutes' is no duration: write 30s, 2m, 1h30m or 500ms",
        f"{file}:7 resolvr: there is no such setting (did you mean resolver?)",
        "PIER_API_PORT: 'x' is no whole number",
        "PIER_GATEWAY_HTTP_PROT: there is no such variable (did you mean PIER_GATEWAY_HTTP_PORT?)",
        "flag log_level: 'LOUD' is none of DEBUG, INFO, WARNING, ERROR",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("retain_releases = -1", "-1 is less than 0"),
        ("retain_releases = true", "must be a whole number, not True"),
        ("retain_releases = 1.5", "must be a whole number, not 1.5"),
        ('cluster = "A"', "lower-case letters"),
        ('domain = "UPPER.example"', "no lower-case DNS name"),
        ('home = "here"', "must be an absolute path"),
        ("[api]\nport = 70000", "70000 is no port: 1 to 65535"),
        ("[gateway]\nhttp_port = 0", "0 is no port: 1 to 65535"),
        ('domains = "production"', "production= is no environment=domain"),
        ('[gateway]\ntrusted_proxies = "10.0.0.0/8, balancer"', "'balancer' is no network"),
        ('[catalog]\nmode = "consul"', 'is needed with catalog.mode = "consul"'),
        ('[catalog]\nurl = "http://127.0.0.1:8500"', 'is used only with catalog.mode = "consul"'),
        ("domain = ", "is not TOML"),
        ('[registry]\naddress = "https://images:5000"', "is no host:port, nor host:port/folder (without http://"),
        ('[registry]\naddress = "images:5000"\nusername = "pier"', "needs registry.password_file"),
        ('[registry]\ncert_file = "/c"\nca_file = "/a"', "needs registry.key_file"),
        ('[registry]\ncert_file = "/c"\nkey_file = "/k"', "needs registry.ca_file"),
        ('[database]\nurl = "mysql://pier@db/pier"', "is no postgresql://user@host/name"),
        ('[database]\nurl = "postgresql://pier:p4ss@db/pier"', "put it into the file database.password_file"),
        ('[database]\nurl = "postgresql://db/pier?password=p4ss"', "put it into the file database.password_file"),
        ('[database]\npassword_file = "/p"', "is used only with database.url"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    [problem] = problems(written(tmp_path, text))
    assert reason in problem
    assert "pier.toml" in problem


def test_variables_of_the_command_line_and_of_containers_are_no_settings() -> None:
    environ = {"PIER_URL": "http://x", "PIER_TOKEN": "t", "PIER_HOST_PORT_8000": "32768", "PIER_HOME": "/nowhere"}
    assert load.load(None, environ, {}).home == Path("/nowhere")


def test_the_data_folder_may_hold_the_file(tmp_path: Path) -> None:
    written(tmp_path, 'domain = "corp.example"')
    assert load.load(None, {"PIER_HOME": str(tmp_path)}, {}).domain == "corp.example"


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="no settings file"):
        load.load(tmp_path / "absent.toml", {}, {})
    with pytest.raises(errors.NotFound):
        load.load(None, {"PIER_CONFIG": str(tmp_path / "absent.toml")}, {})


def test_secrets_are_not_shown() -> None:
    assert describe.shown(describe.all_settings()["catalog.token"], "s3cret") == "********"
