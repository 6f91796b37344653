"""The folder that every container of Pierhead's has at `/.pier`: see `model.dot_pier`.

A file is named after the container and the clock tick at which its first process started: what was written for an
earlier start of the same container is never read by a later one.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import struct
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pierhead.agent.endpoint import Endpoint, Node
from pierhead.kit import files
from pierhead.model import dubbo
from pierhead.model.app import Protocol
from pierhead.model.dubbo import Reached
from pierhead.model.instance import Meta
from pierhead.wire.docker.containers import Container

log = logging.getLogger(__name__)

_INTERPRETER = 3
"""PT_INTERP: the program needs a loader, which a container may not have. Source: elf(5)."""
_INIT = """#!/.pier/busybox sh
# Becomes the command behind it, once the node's agent has written where this container is reached.
# The arguments: how many variables follow that no shell can hold, these variables, the command.
_pier=/.pier/busybox
_pier_id=$($_pier sed -n 's|^.*/containers/\\([0-9a-f]\\{64\\}\\)/.*$|\\1|p;T;q' /proc/self/mountinfo)
read -r _pier_stat < /proc/1/stat
set -f
_pier_count=$1
_pier_turns=$1
shift
_pier_fields() {
  _pier_started=${20}
}
_pier_fields ${_pier_stat##*) }
set +f
_pier_file=/.pier/instances/$_pier_id-$_pier_started.env
_pier_left=$((${PIER_WAIT_SECONDS:-5} * 100))
while [ ! -r "$_pier_file" ] && [ "$_pier_left" -gt 0 ]; do
  _pier_left=$((_pier_left - 1))
  $_pier usleep 10000
done
if [ -r "$_pier_file" ]; then
  set -a
  . "$_pier_file"
  set +a
elif [ -n "$PIER_PORTS_REQUIRED" ]; then
  echo "pier: the agent of this node has not told the host ports in time; the app is not started without them" >&2
  exit 78
else
  echo "pier: the agent of this node has not told the host ports in time; the app starts without them" >&2
fi
for _pier_pair in $PIER_SECRET_VARIABLES; do # NAME=secret
  if ! _pier_value=$($_pier cat "/run/secrets/${_pier_pair#*=}"); then
    echo "pier: the secret ${_pier_pair#*=} cannot be read; the app is not started without ${_pier_pair%%=*}" >&2
    exit 78
  fi
  export "${_pier_pair%%=*}=$_pier_value"
done
unset PIER_SECRET_VARIABLES _pier_value _pier_pair
while [ "$_pier_turns" -gt 0 ]; do # the variables go behind the command
  _pier_first=$1
  shift
  set -- "$@" "$_pier_first"
  _pier_turns=$((_pier_turns - 1))
done
_pier_name=$1
_pier_program=$1
shift
case $_pier_name in
*/*) ;;
*) # looked for by hand, because this shell would run a program of its own of that name
  if ! _pier_program=$($_pier which "$_pier_name"); then
    echo "pier: there is no program $_pier_name in the PATH of the image ($PATH)" >&2
    exit 127
  fi
  ;;
esac
if [ "$_pier_count" = 0 ]; then
  exec -a "$_pier_name" "$_pier_program" "$@"
fi
_pier_turns=$(($# - _pier_count))
set -- "$@" "$_pier_program"
while [ "$_pier_turns" -gt 0 ]; do # and back in front of it
  _pier_first=$1
  shift
  set -- "$@" "$_pier_first"
  _pier_turns=$((_pier_turns - 1))
done
exec $_pier env "$@"
"""


class DotPier:
    """Whoever writes here must be quick: containers wait."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._instances = folder / "instances"

    def prepare(self) -> None:
        """The folder can be mounted. Without a static busybox on this machine it stays empty, and a warning says so."""
        self._instances.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o755)
        self._instances.chmod(0o711)  # who knows a container's name may read its file, and nobody may list them
        if os.statvfs(self._folder).f_flag & os.ST_NOEXEC:
            log.warning("Nothing in %s can be run (noexec): instances that see it do not start.", self._folder)
        program = shutil.which("busybox")
        if program is None or not is_static(Path(program).read_bytes()):
            log.warning("There is no static busybox: containers are not told where they are reached (busybox-static).")
            return
        target = self._folder / "busybox"
        if not target.exists() or target.read_bytes() != Path(program).read_bytes():
            shutil.copyfile(program, fresh := target.with_suffix(".new"))
            fresh.chmod(0o755)
            fresh.replace(target)
        files.replace(self._folder / "init", _INIT, mode=0o755)

    def publish(self, node: Node, container: Container, endpoints: Sequence[Endpoint]) -> None:
        """The container can read where it is reached. Idempotent; writes once per start."""
        started = _started(container.pid)
        if not started:
            return
        path = self._instances / f"{container.id}-{started}.env"
        if not path.exists():
            self.withdraw(container.id)
            found = variables(node, container, endpoints)
            said = {one.partition("=")[0] for one in container.env}
            told = {name: value for name, value in found.items() if name not in said}
            files.replace(path, text(told), mode=0o644, durable=False)

    def withdraw(self, container_id: str) -> None:
        """There is no file of that container. Idempotent."""
        for path in self._instances.glob(f"{container_id}-*.env"):
            path.unlink(missing_ok=True)

    def keep(self, ids: Collection[str]) -> None:
        """There are files of these containers only."""
        for path in self._instances.glob("*.env"):
            if path.name.partition("-")[0] not in ids:
                path.unlink(missing_ok=True)


def variables(node: Node, container: Container, endpoints: Sequence[Endpoint]) -> dict[str, str]:
    """What the app finds in its environment besides what its release says."""
    address = endpoints[0].address if endpoints else node.advertise
    first = endpoints[0].meta if endpoints else {}
    found = {
        "PIER_HOST_IP": address,
        "HOST_IP": address,
        "PIER_NODE": node.name,
        "PIER_INSTANCE": container.id,
        "PIER_APP": first.get(Meta.APP, ""),
        "PIER_ENVIRONMENT": first.get(Meta.ENVIRONMENT, ""),
        "PIER_RELEASE": first.get(Meta.RELEASE, ""),
    }
    for endpoint in endpoints:
        number = endpoint.container_port.partition("/")[0]
        found[f"PIER_HOST_PORT_{number}"] = str(endpoint.port)
    found |= dubbo.variables(
        {
            endpoint.meta[Meta.PORT]: Reached(
                int(endpoint.container_port.partition("/")[0]), endpoint.port, endpoint.address
            )
            for endpoint in endpoints
            if endpoint.meta.get(Meta.PROTOCOL) == Protocol.DUBBO
        }
    )
    return {name: value for name, value in found.items() if value}


def text(variables: Mapping[str, str]) -> str:
    """The file: lines that a shell reads."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


def is_static(program: bytes) -> bool:
    """It is a 64-bit ELF program that needs no loader. Source: elf(5)."""
    if program[:5] != b"\x7fELF\x02":
        return False
    (start,) = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    kinds = [struct.unpack_from("<I", program, start + number * size)[0] for number in range(count)]
    return _INTERPRETER not in kinds


def _started(pid: int) -> str:
    """The clock tick at which the process started; empty when it is not on this machine."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(") ")[2].split()[19]
