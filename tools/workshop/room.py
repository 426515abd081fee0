"""Start a JupyterHub on this machine for a room of learners, with a board of their progress.

    python tools/workshop/room.py --learners 30
    python tools/workshop/room.py --learners 30 --address 192.168.0.10 --account room k_fold

Learners' files lie in the folder _room, and stay there, beside what the hub says: hub.log.
Ctrl-C ends everything.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
import chosen
import memory
import student

HERE = Path(__file__).parent
ROOT = chosen.contents.ROOT
HOMES = ROOT / "_room"
# Where `make room` installs it; another one on the path will do as well.
PROXY = ROOT / ".venv" / "proxy" / "node_modules" / ".bin" / "configurable-http-proxy"
PATIENCE = 120  # seconds until the hub must answer
GRACE = 30  # seconds to stop by itself
WHY = (
    "ADDRESS={address}: learners run code under the account that starts the room, and on "
    "another address than 127.0.0.1 everybody in the network may try to log in. So the room "
    "needs an account of its own, which can read nothing that you would miss, with a copy of "
    "this repository in its own home. As that account: make room ADDRESS={address} "
    "ACCOUNT=its-name. {now}"
)


def check_account(address: str, account: str | None) -> None:
    """Refuse to open a room to the network from an account that people use.

    Raises:
        ValueError: if the address is not this machine's own, and the account that runs this
            is root, or not the one that was named.
    """
    if address in ("127.0.0.1", "localhost"):
        return
    user = getpass.getuser()
    if os.geteuid() == 0:
        now = "You run this as root."
    elif account is None:
        now = f"ACCOUNT is not set, and you run this as {user}."
    elif account != user:
        now = f"ACCOUNT={account}, and you run this as {user}."
    else:
        return
    raise ValueError(WHY.format(address=address, now=now))


def check_port(address: str, port: int) -> None:
    """Refuse a port that is taken: another room would answer there, with its own password.

    Raises:
        ValueError: if nothing can listen at that address and port.
    """
    try:
        socket.create_server((address, port)).close()
    except OSError as error:
        raise ValueError(
            f"Nothing can listen on {address}:{port}: {error.strerror}. If a room is open "
            "there already, end it with Ctrl-C, or take another port: make room PORT=8001."
        ) from None


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody uses."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def proxy() -> str:
    """Return the path of the proxy.

    Raises:
        ValueError: if it is not installed.
    """
    found = str(PROXY) if PROXY.exists() else shutil.which("configurable-http-proxy")
    if not found:
        raise ValueError(
            "The hub needs configurable-http-proxy, which `make room` installs with npm. "
            "Install Node.js, and run it again."
        )
    return found


@contextmanager
def running(
    learners: int,
    paths: list[Path],
    homes: Path,
    address: str = "127.0.0.1",
    port: int = 8000,
) -> Iterator[dict]:
    """Run a hub until the block ends, and leave no process behind.

    Args:
        learners: how many may be logged in.
        paths: the chapters that they get.
        homes: where their files lie.
        address: where the hub listens; its port there is ``port``.

    Yields:
        The room's settings: its password, ports and so on.

    Raises:
        ValueError: if the port is taken.
        RuntimeError: if the hub does not answer in time, or ends.
    """
    check_port(address, port)
    homes.mkdir(parents=True, exist_ok=True)
    hub_port, proxy_port, board_port = free_ports(3)
    with tempfile.TemporaryDirectory() as folder:
        copies = Path(folder) / "copies"
        student.write(copies, paths)
        room = {
            "learners": learners,
            "chapters": [path.stem for path in paths],
            "address": address,
            "port": port,
            "hub_port": hub_port,
            "proxy_port": proxy_port,
            "board_port": board_port,
            "password": secrets.token_hex(4),
            "proxy": proxy(),
            "homes": str(homes),
            "copies": str(copies),
            "repository": str(ROOT),
        }
        log = homes / "hub.log"
        hub = start(room, folder, log)
        try:
            wait_for(hub, f"http://127.0.0.1:{hub_port}/hub/health", log)
            wait_for(hub, f"http://{address}:{port}/hub/health", log)
            yield room
        finally:
            stop(hub)


def start(room: dict, folder: str, log: Path) -> subprocess.Popen:
    """Start the hub in a process group of its own: Ctrl-C is for this program alone.

    What it says goes into a file: each login is some lines, and the password stays in sight.
    """
    config = str(HERE / "jupyterhub_config.py")
    environment = os.environ | {"MEASURED_PYTORCH_ROOM": json.dumps(room)}
    with log.open("w", encoding="utf-8") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", config],
            cwd=folder,
            env=environment,
            start_new_session=True,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def wait_for(hub: subprocess.Popen, url: str, log: Path) -> None:
    """Wait until the hub answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if hub.poll() is not None:
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            raise RuntimeError("\n".join(["The hub has ended. It said:", *last]))
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"The hub does not answer after {PATIENCE} s: see {log}.")


def stop(hub: subprocess.Popen) -> None:
    """End the hub, its proxy, every server and every kernel."""
    try:
        family = psutil.Process(hub.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    hub.send_signal(signal.SIGTERM)
    try:
        hub.wait(GRACE)
    except subprocess.TimeoutExpired:
        hub.kill()
        hub.wait()
    _, left = psutil.wait_procs(family, timeout=5)
    for process in left:
        process.terminate()
    _, left = psutil.wait_procs(left, timeout=5)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)


def close_once(*_: object) -> None:
    """End the room at the first signal; a second one must not interrupt the closing."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def told(room: dict, size: memory.Room) -> str:
    """Return what the teacher must know."""
    url = f"http://{room['address']}:{room['port']}"
    return f"""
The room is open.

    Learners open   {url}/
    Name            any; each learner another one
    Seats           {room["learners"]}, yours among them if you log in
    Password        {room["password"]}
    Board           {url}/services/room/

{size.sum()}.
Nothing here enforces a limit: who takes more takes it from the others. Ask learners
to choose Kernel > Shut Down at the end of each chapter.
Everyone with the password can log in under every name, and nothing is encrypted on
its way: do not keep secrets here.
Their files are in {room["homes"]}, and what the hub says in its hub.log.
Ctrl-C ends the room."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="default: all")
    parser.add_argument("--learners", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--account", help="the account made for the room")
    options = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, close_once)
    try:
        check_account(options.address, options.account)
        size = memory.room(options.learners)
        paths = chosen.chapters(options.chapters)
        opened = running(options.learners, paths, HOMES, options.address, options.port)
        with opened as room:
            print(told(room, size), flush=True)
            signal.pause()
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe room is closed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
