"""The base image of static sites: nginx and a shell, unpacked from Debian's packages, and nothing else of Debian."""

from __future__ import annotations

import asyncio
import io
import re
import tarfile
from pathlib import Path

from pierhead.build import debian, layer
from pierhead.build.kitchen import Log
from pierhead.build.layer import Config, Packed

CONFIG = Config(
    command=("/bin/pier-site",),
    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PIER_SITE": "/app"},
    stop_signal="SIGQUIT",
)
"""SIGQUIT lets nginx finish the answers that it is sending."""

_PACKAGES = ("nginx-light", "busybox-static")
_KEPT = re.compile(
    r"bin/busybox|usr/sbin/nginx|etc/nginx/mime\.types|usr/share/doc/[^/]+/copyright"
    r"|(usr/)?lib(64|/[^/]+)?/(ld-linux|lib(c|m|crypt|crypto|ssl|pcre2-8|z|pthread|dl|nss_files)[.-])[^/]*"
)
"""Of what the packages bring: the programs and the libraries that they load."""
_COMMANDS = "sh cat cp echo env find grep head hostname id kill ls mkdir ps rm sed sleep stty tail test top vi wget"

_START = r"""#!/bin/sh
# Serves the folder $PIER_SITE at the port $PORT.
mkdir -p /tmp/nginx
sed -e "s|@PORT@|${PORT:-8080}|" -e "s|@SITE@|${PIER_SITE:-/app}|" /etc/nginx/site.conf > /tmp/nginx/nginx.conf
exec nginx -e /dev/stderr -c /tmp/nginx/nginx.conf
"""
_SITE = r"""daemon off;
user nobody nogroup;
worker_processes 1;
pid /tmp/nginx/nginx.pid;
error_log /dev/stderr warn;
events { worker_connections 4096; }
http {
  include /etc/nginx/mime.types;
  types {
    text/javascript mjs;
    application/manifest+json webmanifest;
    font/ttf ttf;
    text/markdown md;
    text/yaml yaml yml;
  }
  default_type application/octet-stream;
  charset utf-8;
  charset_types text/css text/plain text/javascript application/javascript application/json text/xml;
  log_format site '$remote_addr "$request" $status $body_bytes_sent $request_time';
  access_log /dev/stdout site;
  client_body_temp_path /tmp/nginx/body;
  proxy_temp_path /tmp/nginx/proxy;
  fastcgi_temp_path /tmp/nginx/fastcgi;
  uwsgi_temp_path /tmp/nginx/uwsgi;
  scgi_temp_path /tmp/nginx/scgi;
  sendfile on;
  tcp_nopush on;
  server_tokens off;
  log_not_found off;
  gzip on;
  gzip_vary on;
  gzip_types text/css text/plain text/javascript application/javascript application/json image/svg+xml;
  # A name with a hash in it never changes its content; everything else is asked for anew each time.
  map $uri $cached {
    default no-cache;
    "~[.-][0-9a-f]{8,}\.(css|js|mjs|woff2?|png|jpe?g|gif|svg|webp|avif)$" "public, max-age=31536000, immutable";
  }
  server {
    listen @PORT@;
    root @SITE@;
    absolute_redirect off;
    add_header Cache-Control $cached;
    error_page 404 /404.html;
    location / { try_files $uri $uri/index.html $uri.html =404; }
    location = /404.html { internal; }
    location ~ /\.(?!well-known/) { return 404; }
    location = /pier.yaml { return 404; }
  }
}
"""
_FILES = {
    "bin/pier-site": (_START, 0o755),
    "etc/nginx/site.conf": (_SITE, 0o644),
    "etc/passwd": ("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", 0o644),
    "etc/group": ("root:x:0:\nnogroup:x:65534:\n", 0o644),
}


async def made(folder: Path, suite: str, log: Log) -> Packed:
    """The base image's one layer, in `folder`. Raises: Failed."""
    raw = folder / "unpacked.tar"
    await debian.archive(folder, raw, _PACKAGES, suite, log, variant="extract")
    return await asyncio.to_thread(_assembled, raw, folder / "layer.tar.gz")


def _assembled(raw: Path, target: Path) -> Packed:
    composed = target.with_name("site.tar")
    with tarfile.open(raw) as source, tarfile.open(composed, "w", format=tarfile.GNU_FORMAT) as made_:
        for member in source:
            if _KEPT.fullmatch(member.name.removeprefix("./")) and not member.isdir():
                made_.addfile(member, source.extractfile(member) if member.isreg() else None)
        for name, (text, mode) in _FILES.items():
            _add(made_, name, text.encode(), mode)
        for command in _COMMANDS.split():
            link = tarfile.TarInfo(f"bin/{command}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            made_.addfile(link)
        for name, mode in (("tmp", 0o1777), ("root", 0o700), ("app", 0o755)):
            empty = tarfile.TarInfo(name)
            empty.type, empty.mode = tarfile.DIRTYPE, mode
            made_.addfile(empty)
    return layer.normalised(composed, target, lambda name: name.removeprefix("./"), 0)


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    tar.addfile(member, io.BytesIO(data))
