"""What of this machine's apt decides how an archive is reached."""

from __future__ import annotations

from pierhead.build import apt


def test_proxies_and_certificates_are_taken_over_and_hooks_are_not() -> None:
    dump = """\
APT::Architecture "amd64";
Acquire::http "";
Acquire::http::Proxy "http://proxy.internal:3142";
Acquire::https::CAInfo "/etc/ssl/certs/company.pem";
Acquire::Retries "3";
Acquire::AllowInsecureRepositories "1";
DPkg::Post-Invoke:: "rm -rf /";
"""
    assert apt.transport(dump) == (
        'Acquire::http::Proxy "http://proxy.internal:3142";\n'
        'Acquire::https::CAInfo "/etc/ssl/certs/company.pem";\n'
        'Acquire::Retries "3";\n'
    )


def test_only_debians_own_archives_of_the_suite_are_taken() -> None:
    listed = {
        "debian.sources": "Types: deb\nURIs: http://mirror.internal/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\n"
        "\nTypes: deb\nURIs: http://mirror.internal/security\nSuites: bookworm-security\nComponents: main\n",
        "docker.list": "deb [signed-by=/k.gpg] https://docker.internal/debian bookworm stable\n",
        "pgdg.list": "deb https://pg.internal/apt bookworm-pgdg main\n",
        "sources.list": "# deb http://old bookworm main\n"
        "deb [signed-by=/usr/share/k.gpg] http://other.internal/debian trixie main\n",
    }
    found = apt.chosen(listed, "bookworm")
    assert "mirror.internal/debian" in found
    assert "mirror.internal/security" in found
    assert "docker" not in found
    assert "pgdg" not in found
    assert apt.chosen(listed, "trixie") == (
        "Types: deb\nURIs: http://other.internal/debian\nSuites: trixie\nComponents: main\n"
        "Signed-By: /usr/share/k.gpg\n"
    )


def test_a_suite_that_this_machine_does_not_have_comes_from_the_public_archive() -> None:
    assert "http://deb.debian.org/debian\nSuites: trixie trixie-updates" in apt.chosen({}, "trixie")
