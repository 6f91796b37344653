"""What is lent to a build container, and what is not."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from pierhead.build import sources
from pierhead.testing.authority import Authority


def lent(environ: dict[str, str]) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(sources.files(environ))) as tar:
        return {member.name: content.read() for member in tar if (content := tar.extractfile(member))}


def test_where_packages_come_from_is_lent_and_nothing_else() -> None:
    environ = {
        "PIP_INDEX_URL": "https://mirror.internal/simple",
        "UV_INDEX_TEAM_PASSWORD": "x",
        "npm_config_registry": "https://mirror.internal/npm",
        "NPM_CONFIG_REGISTRY": "https://mirror.internal/npm",
        "https_proxy": "http://proxy.internal:3128",
        "NO_PROXY": "internal",
        "PIP_FIND_LINKS": "/srv/wheels",
        "PIP_TARGET": "/x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PIER_TOKEN": "x",
        "PATH": "/bin",
    }
    found = sources.environment(environ)
    assert set(found) & set(environ) == {
        "PIP_INDEX_URL",
        "UV_INDEX_TEAM_PASSWORD",
        "npm_config_registry",
        "NPM_CONFIG_REGISTRY",
        "https_proxy",
        "NO_PROXY",
    }


def test_certificates_and_configuration_that_variables_name_are_lent(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("certificates")
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror.internal\n")
    environ = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    found = lent(environ)
    assert found["run/pier/certificates.pem"] == b"certificates"
    assert b"mirror.internal" in found["etc/pip.conf"]
    told = sources.environment(environ)
    assert {told[name] for name in ("PIP_CERT", "NODE_EXTRA_CA_CERTS", "npm_config_cafile")} == {
        "/run/pier/certificates.pem"
    }


def test_a_builder_is_told_only_the_proxies() -> None:
    environ = {"HTTP_PROXY": "http://proxy", "no_proxy": "x", "PIP_INDEX_URL": "https://user:secret@mirror"}
    assert sources.proxies(environ) == {"HTTP_PROXY": "http://proxy", "no_proxy": "x"}


def test_java_is_told_in_its_own_words(tmp_path: Path) -> None:
    authority = Authority()
    file = authority.write(tmp_path)
    environ = {
        "SSL_CERT_FILE": str(file),
        "https_proxy": "http://proxy.internal:3128",
        "HTTP_PROXY": "http://plain.internal",
        "NO_PROXY": "localhost,.internal",
    }
    options = sources.environment(environ)["MAVEN_OPTS"]
    assert options.split() == [
        "-Djavax.net.ssl.trustStore=/run/pier/certificates.p12",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
        "-Dhttp.proxyHost=plain.internal",
        "-Dhttp.proxyPort=80",
        "-Dhttps.proxyHost=proxy.internal",
        "-Dhttps.proxyPort=3128",
        "-Dhttp.nonProxyHosts=localhost|*.internal",
    ]
    store = pkcs12.load_pkcs12(lent(environ)["run/pier/certificates.p12"], None)
    pem = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in store.additional_certs)
    assert pem.strip() == Path(file).read_bytes().strip()
