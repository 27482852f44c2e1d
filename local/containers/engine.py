"""The Docker engine: is one there, has it the Lambda image, and where do its containers see this machine?"""

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

HOST = "host.docker.internal"  # what containers call this machine
_STAND_IN = Path(__file__).with_name("stand_in_image.sh")


class EngineMissing(Exception):
    """No Docker engine answers, or it cannot get the Lambda image. The text is one line for the terminal."""


def require() -> None:
    """Raise `EngineMissing` unless a Docker engine answers."""
    try:
        answer = _docker("version", "--format", "{{.Server.Version}}", timeout=10)
    except FileNotFoundError:
        raise EngineMissing("`docker` is not installed, and sam local runs functions in containers") from None
    except subprocess.TimeoutExpired:
        raise EngineMissing("the Docker engine does not answer within 10 s") from None
    if answer.returncode != 0:
        reason = answer.stderr.strip().splitlines() or ["it gave no reason"]
        raise EngineMissing(f"no Docker engine answers, and sam local runs functions in containers: {reason[-1]}")


def require_image(image: str) -> None:
    """Have `image`: pulled if it can be, else the stand-in under its name. Raises `EngineMissing` if neither works.

    An image that is there is not refreshed, so that invoking works offline and at once; `docker pull` does that.
    """
    if _docker("image", "inspect", image).returncode == 0:
        return
    print(f"Pulling {image}", file=sys.stderr)
    if subprocess.run(["docker", "pull", "--quiet", image], stdout=sys.stderr, check=False).returncode == 0:
        return
    print("It cannot be pulled here: building a stand-in", file=sys.stderr)
    # The first python3 on its path must have pip, which the system's own may lack; this one's environment has.
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    if subprocess.run([_STAND_IN, image], env=environment, stdout=sys.stderr, check=False).returncode != 0:
        raise EngineMissing(f"{image} can be neither pulled nor built here; the reason stands above")


def gateway() -> str:
    """The address of this machine on the network that containers join."""
    what = "{{with index .IPAM.Config 0}}{{.Subnet}} {{.Gateway}}{{end}}"
    answer = _docker("network", "inspect", "bridge", "--format", what)
    if answer.returncode != 0:
        raise EngineMissing(f"the Docker engine has no bridge network: {answer.stderr.strip()}")
    subnet, _, gateway = answer.stdout.strip().partition(" ")
    # Some engines do not say; it is the first address unless somebody configured another, and then they do say.
    return gateway or str(next(ip_network(subnet).hosts()))


def _docker(*arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
