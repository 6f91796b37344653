"""What this machine's package managers are told: lent to whoever builds here, never put into an image."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

_CERTIFICATES = "/run/pier/certificates.pem"
"""Where a build container finds the certificates that this machine trusts."""
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
_PROXY = re.compile(r"(https?|ftp|no|all)_proxy", re.IGNORECASE)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that say where packages come from; and the certificates of this machine, for those who ask."""
    lent = {name: value for name, value in environ.items() if _LENT.fullmatch(name)}
    trusting = dict.fromkeys(_TRUSTING, _CERTIFICATES) if _bundle(environ) else {}
    return {**lent, **trusting, "NPM_CONFIG_GLOBALCONFIG": "/etc/npmrc"}


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """The proxies among them. A builder knows these as arguments that it never keeps in an image."""
    return {name: value for name, value in environ.items() if _PROXY.fullmatch(name)}


def files(environ: Mapping[str, str]) -> bytes:
    """The same as files, in a tar for the root of a build container."""
    found = {target: path for source, target in _FILES.items() if (path := Path(source).expanduser()).is_file()}
    for variable, target in _NAMED.items():
        path = Path(environ.get(variable) or environ.get(variable.lower()) or "/dev/null")
        found |= {target: path} if path.is_file() else {}
    if bundle := _bundle(environ):
        found[_CERTIFICATES.lstrip("/")] = bundle
    target_ = io.BytesIO()
    with tarfile.open(fileobj=target_, mode="w") as tar:
        for name, path in found.items():
            data = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return target_.getvalue()


def _bundle(environ: Mapping[str, str]) -> Path | None:
    """The certificates that this machine is told to trust, or its own."""
    named = [environ[name] for name in _BUNDLES if environ.get(name)]
    return next((path for name in (*named, *_SYSTEM_BUNDLES) if (path := Path(name)).is_file()), None)
