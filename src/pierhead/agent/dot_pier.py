"""The folder that every container of Pierhead's has at `/.pier`: see `model.dot_pier`.

A file is named after the container and the clock tick at which its first process started: what was written for an
earlier start of the same container is never read by a later one.
"""

from __future__ import annotations

import logging
import shlex
import shutil
import struct
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pierhead.agent.endpoint import Endpoint, Node
from pierhead.kit import files
from pierhead.model.app import Protocol
from pierhead.model.instance import Meta
from pierhead.wire.docker.containers import Container

log = logging.getLogger(__name__)

_INTERPRETER = 3
"""PT_INTERP: the program needs a loader, which a container may not have. Source: elf(5)."""
_INIT = """#!/.pier/busybox sh
# Becomes the command behind it, once the node's agent has written where this container is reached.
b=/.pier/busybox
id=$($b sed -n 's|^.*/containers/\\([0-9a-f]\\{64\\}\\)/.*$|\\1|p' /proc/self/mountinfo | $b head -n 1)
read -r stat < /proc/1/stat
file=/.pier/instances/$id-$(echo "${stat##*) }" | $b cut -d ' ' -f 20).env
left=$((${PIER_WAIT_SECONDS:-5} * 100))
while [ ! -r "$file" ] && [ "$left" -gt 0 ]; do
  left=$((left - 1))
  $b usleep 10000
done
if [ -r "$file" ]; then
  set -a
  . "$file"
  set +a
elif [ -n "$PIER_PORTS_REQUIRED" ]; then
  echo "pier: the agent of this node has not told the host ports in time; the app is not started without them" >&2
  exit 78
else
  echo "pier: the agent of this node has not told the host ports in time; the app starts without them" >&2
fi
odd=$1
shift
unset b id stat file left
if [ "$odd" = 0 ]; then
  unset odd
  exec "$@"
fi
unset odd
exec /.pier/busybox env "$@"
"""


class DotPier:
    """Whoever writes here must be quick: containers wait."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._instances = folder / "instances"

    def prepare(self) -> None:
        """The folder can be mounted. Without a static busybox on this machine it stays empty, and a warning says so."""
        self._instances.mkdir(parents=True, exist_ok=True)
        for folder in (self._folder, self._instances):
            folder.chmod(0o755)
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
            files.replace(path, text(variables(node, container, endpoints)), mode=0o644, durable=False)

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
        if endpoint.meta.get(Meta.PROTOCOL) == Protocol.DUBBO:
            found |= _dubbo(endpoint, number)
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


def _dubbo(endpoint: Endpoint, number: str) -> dict[str, str]:
    """What Dubbo 2.6 and newer register instead of what they bind."""
    return {
        "DUBBO_IP_TO_REGISTRY": endpoint.address,
        "DUBBO_PORT_TO_REGISTRY": str(endpoint.port),
        "DUBBO_PORT_TO_BIND": number,
    }


def _started(pid: int) -> str:
    """The clock tick at which the process started; empty when it is not on this machine."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(") ")[2].split()[19]
