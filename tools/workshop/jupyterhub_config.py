"""The hub of one room on one machine; `make room` starts it and fills in the variables.

JupyterHub runs this file, and gives it ``c``.
"""

import json
import os
import secrets
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOM = json.loads(os.environ["MEASURED_PYTORCH_ROOM"])
HOMES, COPIES = Path(ROOM["homes"]), Path(ROOM["copies"])
SEATS = {}  # learner: an id by chance; only this process knows whose it is
PYTHON = sys.executable
NEWS = {"checkForUpdates": False, "fetchNews": "false"}

c = get_config()  # noqa: F821, JupyterHub's

c.JupyterHub.bind_url = f"http://{ROOM['address']}:{ROOM['port']}/"
c.JupyterHub.hub_port = ROOM["hub_port"]
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret = secrets.token_bytes(32)
c.JupyterHub.active_server_limit = ROOM["learners"]
c.JupyterHub.log_level = "WARN"
c.JupyterHub.show_config = False
c.ConfigurableHTTPProxy.command = [ROOM["proxy"]]
c.ConfigurableHTTPProxy.log_level = "error"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{ROOM['proxy_port']}"
c.ConfigurableHTTPProxy.auth_token = secrets.token_hex(32)
c.ConfigurableHTTPProxy.pid_file = str(HOMES / ".proxy.pid")

# Everyone has the same password, and a name of his own choice.
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = ROOM["password"]
c.Authenticator.allow_all = True
c.Authenticator.username_pattern = r"[a-z][a-z0-9_-]{0,30}"

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(HOMES / "{username}")
c.Spawner.cmd = [PYTHON, "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.start_timeout = c.Spawner.http_timeout = 180
c.Spawner.environment = {
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "JUPYTER_PREFER_ENV_PATH": "1",
    "PYTHONPATH": ROOM["repository"],
    "MEASURED_PYTORCH_BOARD": f"http://127.0.0.1:{ROOM['board_port']}/services/room/",
}
c.Spawner.args = [
    "--ServerApp.log_level=WARN",
    "--ServerApp.terminals_enabled=False",
    # Half a gigabyte for each kernel of an old chapter, also while its tab is open.
    "--MappingKernelManager.cull_idle_timeout=1800",
    "--MappingKernelManager.cull_interval=60",
    "--MappingKernelManager.cull_connected=True",
]

if os.geteuid() == 0:  # in a container; room.py lets root listen on 127.0.0.1 alone
    c.Spawner.args.append("--allow-root")


def make_home(spawner) -> None:
    """Give a learner a home: notebooks where there are none, a seat, and no news."""
    home = HOMES / spawner.user.name
    settings = home / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension"
    startup = home / ".ipython/profile_default/startup"
    for folder in (settings, startup):
        folder.mkdir(parents=True, exist_ok=True)
    for part in COPIES.iterdir():
        if not (home / part.name).exists():
            shutil.copytree(part, home / part.name)
    notification = settings / "notification.jupyterlab-settings"
    notification.write_text(json.dumps(NEWS), encoding="utf-8")
    shutil.copy(HERE / "room_client.py", startup / "room.py")
    seat = SEATS.setdefault(spawner.user.name, secrets.token_hex(8))
    spawner.environment["MEASURED_PYTORCH_SEAT"] = seat


c.Spawner.pre_spawn_hook = make_home

c.JupyterHub.services = [
    {
        "name": "room",
        "url": f"http://127.0.0.1:{ROOM['board_port']}",
        "command": [PYTHON, str(HERE / "board.py")],
        "environment": {
            "ROOM_CHAPTERS": " ".join(ROOM["chapters"]),
            "ROOM_LEARNERS": str(ROOM["learners"]),
        },
    },
    {
        # A coffee break must not end a session; an hour and a half does.
        "name": "idle",
        "command": [PYTHON, "-m", "jupyterhub_idle_culler", "--timeout=5400"],
    },
]
c.JupyterHub.load_roles = [
    {
        "name": "idle",
        "services": ["idle"],
        "scopes": [
            "list:users",
            "read:users:activity",
            "read:servers",
            "delete:servers",
        ],
    }
]
