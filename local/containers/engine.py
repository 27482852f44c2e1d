"""The Docker engine: whether one answers, its Lambda image, and the address of this machine inside its containers."""

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

HOST_NAME = "host.docker.internal"  # the name of this machine inside containers
_STAND_IN = Path(__file__).with_name("stand_in_image.sh")
_SERVERS = Path(__file__).with_name("server_images.sh")
_ANSWERS_WITHIN_S = 30  # on a machine that is busy with containers it may take long


class EngineMissing(Exception):
    """No Docker engine answers, or it cannot get the Lambda image. The text is one line for the terminal."""


def require() -> None:
    """Raise `EngineMissing` unless a Docker engine answers."""
    try:
        answer = _docker("version", "--format", "{{.Server.Version}}", timeout=_ANSWERS_WITHIN_S)
    except FileNotFoundError:
        raise EngineMissing("`docker` is not installed, and sam local runs functions in containers") from None
    except subprocess.TimeoutExpired:
        raise EngineMissing(f"the Docker engine does not answer within {_ANSWERS_WITHIN_S} s") from None
    if answer.returncode != 0:
        reason = answer.stderr.strip().splitlines() or ["it gave no reason"]
        raise EngineMissing(f"no Docker engine answers, and sam local runs functions in containers: {reason[-1]}")


def require_image(image: str) -> None:
    """Pull `image`, or build the stand-in under its name. Raises `EngineMissing` if neither works.

    An existing image is not updated, so that `invoke` works offline and at once. `docker pull` updates it.
    """
    if _docker("image", "inspect", image).returncode == 0:
        return
    print(f"Pulling {image}", file=sys.stderr)
    if subprocess.run(["docker", "pull", "--quiet", image], stdout=sys.stderr, check=False).returncode == 0:
        return
    print("It cannot be pulled here: building a stand-in", file=sys.stderr)
    _build(_STAND_IN, image)


def tag(image: str, name: str) -> None:
    """Give the image another name. Raises CalledProcessError."""
    _docker("tag", image, name).check_returncode()


def require_servers(*images: str) -> None:
    """Build the stand-in for RDS and ElastiCache under these names, unless it is there. Raises `EngineMissing`."""
    _build(_SERVERS, *images)


def _build(script: Path, *images: str) -> None:
    # The script needs a python3 with pip. The system's may have none, the one that runs here has.
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    if subprocess.run([script, *images], env=environment, stdout=sys.stderr, check=False).returncode != 0:
        raise EngineMissing(f"{images[0]} cannot be built here; the output above says why")


def containers(*labels: str) -> list[str]:
    """Return the ids of the containers that have all these labels, also of those that do not run."""
    filters = (word for label in labels for word in ("--filter", f"label={label}"))
    return _docker("ps", "--all", "--quiet", *filters).stdout.split()


def remove_containers(label: str) -> None:
    """End and remove the containers that have the label."""
    if found := containers(label):
        _docker("rm", "--force", "--volumes", *found)


def runs_or_will(container: str) -> bool:
    """Return False for a container that has ended or is being removed."""
    status = _docker("inspect", "--format", "{{.State.Status}}", container).stdout.strip()
    return status in ("created", "restarting", "running")


def run_in(container: str, *command: str) -> str:
    """Run a command in a container, and return its output. Raises CalledProcessError."""
    done = _docker("exec", container, *command)
    done.check_returncode()
    return done.stdout


def host_address() -> str:
    """Return the address of this machine on the network of the containers. Raises `EngineMissing`."""
    fields = "{{with index .IPAM.Config 0}}{{.Subnet}} {{.Gateway}}{{end}}"
    answer = _docker("network", "inspect", "bridge", "--format", fields)
    if answer.returncode != 0:
        raise EngineMissing(f"the Docker engine has no bridge network: {answer.stderr.strip()}")
    subnet, _, address = answer.stdout.strip().partition(" ")
    # Some engines report it only if it was configured. The default is the first address.
    return address or str(next(ip_network(subnet).hosts()))


def _docker(*arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
