"""What this machine's package managers are told: lent to whoever builds here, never put into an image."""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

from pierhead.kit.files import State, state

_CERTIFICATES = "/run/pier/certificates.pem"
"""Where a build container finds the certificates that this machine trusts."""
_JAVAS_CERTIFICATES = "/run/pier/certificates.p12"
"""The same for Java, which reads no PEM."""
_JAVA = ("MAVEN_OPTS", "GRADLE_OPTS")
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_TRUSTING = (*_BUNDLES, "GIT_SSL_CAINFO", "npm_config_cafile")
_FILES = {
    "/etc/pip.conf": "etc/pip.conf",
    "/etc/xdg/pip/pip.conf": "etc/pip.conf",
    "~/.pip/pip.conf": "root/.pip/pip.conf",
    "~/.config/pip/pip.conf": "root/.config/pip/pip.conf",
    "/etc/uv/uv.toml": "etc/uv/uv.toml",
    "~/.config/uv/uv.toml": "root/.config/uv/uv.toml",
    "/etc/npmrc": "etc/npmrc",
    "~/.npmrc": "root/.npmrc",
    "~/.netrc": "root/.netrc",
    "~/.m2/settings.xml": "root/.m2/settings.xml",
}
_NAMED = {"PIP_CONFIG_FILE": "etc/pip.conf", "UV_CONFIG_FILE": "etc/uv/uv.toml", "NPM_CONFIG_USERCONFIG": "root/.npmrc"}
"""Variables that name such a file elsewhere."""
_LENT = re.compile(
    r"(PIP|UV)_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT|TIMEOUT|PROXY|RETRIES)"
    r"|UV_(INDEX_\w+|HTTP_TIMEOUT|INSECURE_HOST|NATIVE_TLS)"
    r"|npm_config_(registry|proxy|https_proxy|noproxy|strict_ssl|_auth\w*)"
    r"|(https?|no|all)_proxy|GOPROXY|GONOSUMDB|GOSUMDB",
    re.IGNORECASE,
)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_PROXY = re.compile(r"(https?|ftp|no|all)_proxy", re.IGNORECASE)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that say where packages come from; and the certificates of this machine, for those who ask."""
    lent = {name: value for name, value in environ.items() if _LENT.fullmatch(name)}
    trusting = dict.fromkeys(_TRUSTING, _CERTIFICATES) if _bundle(environ) else {}
    java = dict.fromkeys(_JAVA, " ".join(_java(environ)))
    return {**lent, **trusting, **java, "NPM_CONFIG_GLOBALCONFIG": "/etc/npmrc"}


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """The proxies among them. A builder knows these as arguments that it never keeps in an image."""
    return {name: value for name, value in environ.items() if _PROXY.fullmatch(name)}


def files(environ: Mapping[str, str]) -> bytes:
    """The same as files, in a tar for the root of a build container."""
    found = {target: path for source, target in _FILES.items() if (path := Path(source).expanduser()).is_file()}
    for variable, target in _NAMED.items():
        path = Path(environ.get(variable) or environ.get(variable.lower()) or "/dev/null")
        found |= {target: path} if path.is_file() else {}
    contents = {name: path.read_bytes() for name, path in found.items()}
    if bundle := _bundle(environ):
        contents[_CERTIFICATES.lstrip("/")] = bundle.read_bytes()
        contents[_JAVAS_CERTIFICATES.lstrip("/")] = _for_java(bundle, state(bundle))
    target_ = io.BytesIO()
    with tarfile.open(fileobj=target_, mode="w") as tar:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return target_.getvalue()


def _bundle(environ: Mapping[str, str]) -> Path | None:
    """The certificates that this machine is told to trust, or its own."""
    named = [environ[name] for name in _BUNDLES if environ.get(name)]
    return next((path for name in (*named, *_SYSTEM_BUNDLES) if (path := Path(name)).is_file()), None)


@lru_cache(maxsize=2)
def _for_java(bundle: Path, _state: State) -> bytes:
    """The certificates of the bundle that can be read, as a store that Java trusts without a password."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # of old authorities' odd serial numbers
        for number, pem in enumerate(_CERTIFICATE.findall(bundle.read_bytes())):
            with contextlib.suppress(ValueError):
                one = x509.load_pem_x509_certificate(pem)
                found.append(pkcs12.PKCS12Certificate(one, str(number).encode()))
    return pkcs12.serialize_java_truststore(found, NoEncryption()) if found else b""


def _java(environ: Mapping[str, str]) -> Iterator[str]:
    """Options of a Java program that say the same as the variables of all others."""
    if _bundle(environ):
        yield f"-Djavax.net.ssl.trustStore={_JAVAS_CERTIFICATES}"
        yield "-Djavax.net.ssl.trustStoreType=PKCS12"
    told = {name.lower(): value for name, value in environ.items() if _PROXY.fullmatch(name)}
    for scheme in ("http", "https"):
        proxy = urlsplit(told.get(f"{scheme}_proxy") or told.get("all_proxy", ""))
        if proxy.hostname:
            yield f"-D{scheme}.proxyHost={proxy.hostname} -D{scheme}.proxyPort={proxy.port or 80}"
    without = [host.strip() for host in told.get("no_proxy", "").split(",") if host.strip()]
    if without:
        yield "-Dhttp.nonProxyHosts=" + "|".join(f"*{host}" if host.startswith(".") else host for host in without)
