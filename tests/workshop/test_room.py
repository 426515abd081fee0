"""A real hub on this machine: two learners log in, run a notebook, and leave no process."""

import json
import time
import uuid

import contents
import nbformat
import psutil
import pytest
import requests
import websocket

pytestmark = (
    pytest.mark.workshop
)  # needs requirements-workshop.txt, npm's proxy, a minute
TIP = "bce_and_logits"  # it has a number box
LEARNERS = ("ada", "grace")


class Learner:
    """Someone in a browser: logs in, starts a server, runs cells over the websocket."""

    def __init__(self, room, name):
        self.base = f"http://{room['address']}:{room['port']}"
        self.name, self.session = name, requests.Session()
        self.home = f"{self.base}/user/{name}"
        self.session.get(f"{self.base}/hub/login")
        self.answer = self.session.post(
            f"{self.base}/hub/login?next=/hub/spawn",
            {
                "username": name,
                "password": room["password"],
                "_xsrf": self.xsrf("/hub/"),
            },
        )

    def xsrf(self, path):
        return next(
            c.value
            for c in self.session.cookies
            if c.name == "_xsrf" and c.path == path
        )

    def wait_for_server(self):
        end = time.monotonic() + 120
        while not (page := self.session.get(f"{self.home}/lab")).url.startswith(
            self.home
        ):
            assert time.monotonic() < end, "the server does not start"
            time.sleep(1)
        assert page.status_code == 200

    def api(self, method, where, **body):
        headers = {"X-XSRFToken": self.xsrf(f"/user/{self.name}/")}
        url = f"{self.home}/api/{where}"
        return self.session.request(method, url, json=body or None, headers=headers)

    def open_kernel(self):
        kernel = self.api("POST", "kernels", name="python3", path="notebooks").json()[
            "id"
        ]
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.session.cookies)
        address = f"{self.home.replace('http', 'ws')}/api/kernels/{kernel}/channels"
        self.socket = websocket.create_connection(address, cookie=cookies, timeout=120)

    def run(self, code):
        """Run a cell; return its last result's text, and the name of its error, if any."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request"}
        header |= {"username": self.name, "session": "s", "version": "5.3", "date": ""}
        content = {"code": code, "silent": False, "store_history": True}
        content |= {
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        message = {"header": header, "parent_header": {}, "metadata": {}}
        message |= {"content": content, "channel": "shell", "buffers": []}
        self.socket.send(json.dumps(message))
        shown, error = "", None
        while True:
            got = json.loads(self.socket.recv())
            if got["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            if got["msg_type"] == "execute_result":
                shown = got["content"]["data"]["text/plain"]
            elif got["msg_type"] == "error":
                error = got["content"]["ename"]
            elif got["content"].get("execution_state") == "idle":
                return shown, error


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A room for two, with one chapter."""
    import room

    paths = [p for p in contents.notebooks() if p.stem == TIP]
    (port,) = room.free_ports(1)
    homes = tmp_path_factory.mktemp("homes")
    before = set(psutil.pids())
    with room.running(len(LEARNERS), paths, homes, port=port) as opened:
        yield opened
    own = psutil.Process().children(recursive=True)
    late = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before]
    hub = [p for p in late if "jupyterhub" in " ".join(p.info["cmdline"] or ())]
    assert hub == []
    assert [p for p in own if "ipykernel_launcher" in " ".join(p.cmdline())] == []


@pytest.fixture(scope="module")
def learners(room):
    found = [Learner(room, name) for name in LEARNERS]
    for each in found:
        each.wait_for_server()
        each.open_kernel()
    yield found
    for each in found:
        each.socket.close()
        each.session.close()


def counts(room):
    base = f"http://{room['address']}:{room['port']}"
    return requests.get(f"{base}/services/room/counts").json()


def test_wrong_password_opens_nothing(room):
    stranger = Learner(room | {"password": "wrong-one"}, "eve")
    assert stranger.answer.status_code == 403
    assert stranger.session.get(f"{stranger.base}/hub/api/user").status_code == 403
    stranger.session.close()


def test_two_learners_run_a_notebook_and_the_board_counts_them(room, learners):
    listed = learners[0].api("GET", "contents/notebooks").json()["content"]
    assert [each["name"] for each in listed] == [f"{TIP}.ipynb"]
    stored = learners[0].api("GET", f"contents/notebooks/{TIP}.ipynb").json()["content"]
    assert "solution" not in json.dumps(stored["cells"])
    cells = [c for c in stored["cells"] if c["cell_type"] == "code"]
    for learner in learners:
        for cell in cells:
            _, error = learner.run(cell["source"])
            expected = "raises-exception" in cell["metadata"].get("tags", [])
            assert bool(error) == expected, cell["source"]
    time.sleep(1)
    stubs = [c for c in cells if "exercise" in c["metadata"].get("tags", [])]
    assert sorted(counts(room).values()) == [[2, 0, 0]] * len(stubs)


def test_solution_of_one_learner_is_counted_as_correct(room, learners):
    original = nbformat.read(contents.ROOT / f"notebooks/{TIP}.ipynb", as_version=4)
    solution = next(
        c for c in original.cells if "solution" in c.metadata.get("tags", [])
    )
    shown, error = learners[1].run(solution.source)
    assert error is None
    assert "✓ Correct" in shown
    time.sleep(1)
    assert [1, 0, 1] in counts(room).values()


def test_kernel_of_the_room_has_one_thread_and_no_gpu(learners):
    shown, _ = learners[0].run("(torch.get_num_threads(), torch.cuda.is_available())")
    assert shown == "(1, False)"


def test_terminals_are_off_and_no_news_pop_up(learners):
    assert learners[0].api("GET", "terminals").status_code == 404
    name = "@jupyterlab/apputils-extension:notification"
    settings = (
        learners[0].session.get(f"{learners[0].home}/lab/api/settings/{name}").json()
    )
    assert settings["settings"] == {"checkForUpdates": False, "fetchNews": "false"}


def test_number_box_in_jupyterlab_tells_the_board(room, chromium):
    """It is checked in the browser, where the kernel does not hear it by itself."""
    base = f"http://{room['address']}:{room['port']}"
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    hosts = set()
    page.on(
        "request", lambda r: hosts.add(r.url.split("/")[2]) if "://" in r.url else None
    )
    page.goto(f"{base}/hub/login")
    page.fill("#username_input", "ada")
    page.fill("#password_input", room["password"])
    page.click("#login_submit")
    page.wait_for_url("**/user/ada/**", timeout=120_000)
    page.goto(f"{base}/user/ada/lab/tree/notebooks/{TIP}.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)
    before = counts(room)
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).first.click()
    box = page.locator('.mp[aria-label="Answer box"] input').first
    end, steps = time.monotonic() + 240, 0
    while (
        not box.count()
    ):  # JupyterLab draws a cell when it is seen: down, and up again
        assert time.monotonic() < end, "the box is not drawn"
        page.locator(".jp-Notebook").first.hover()
        steps += 1
        page.mouse.wheel(0, 1200 if steps % 16 else -30_000)
        page.wait_for_timeout(400)
    box.fill("-12345")
    box.press("Enter")
    page.wait_for_timeout(2000)
    assert sum(row[1] for row in counts(room).values()) > sum(
        r[1] for r in before.values()
    )
    assert hosts == {base.removeprefix("http://")}
    page.close()
