"""The board counts what checks answer, refuses the rest, and never slows a cell."""

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import board
import contents
import lesson
import memory
import pytest
import room
from repository import ROOT

from helpers.exercises.number_box import AnswerBox
from helpers.exercises.table_box import AnswerTable

PATHS = contents.notebooks()[:2]
PREFIX = "/services/room/"
NAME = f"{PATHS[0].stem}.{lesson.exercises(PATHS[0])[0].check}"
SEATS = [f"{n:016x}" for n in range(4)]


@pytest.fixture
def url():
    """Where a board for three learners listens."""
    with board.server(("127.0.0.1", 0), PREFIX, PATHS, seats=3) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()


def post(url, report):
    body = report if isinstance(report, bytes) else json.dumps(report).encode()
    try:
        return urllib.request.urlopen(url, body, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code


def counts(url):
    with urllib.request.urlopen(f"{url}counts", timeout=5) as answer:
        return json.load(answer)


def report(seat=SEATS[0], exercise=NAME, state="hint"):
    return {"seat": seat, "exercise": exercise, "state": state}


def test_last_answer_counts_and_correct_stays_correct(url):
    for state in ("not yet", "hint", "correct", "hint"):
        assert post(url, report(state=state)) == 204
    post(url, report(SEATS[1], state="hint"))
    assert counts(url)[NAME] == [0, 1, 1]
    assert sum(map(sum, counts(url).values())) == 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"{", 400),
        ({}, 400),
        ([], 400),
        (report(seat="ada"), 400),
        (report(seat=None), 400),
        (report(exercise="<b>"), 400),
        (report(exercise=["x"]), 400),
        (report(state="solved"), 400),
        (report(state=[]), 400),
        (report() | {"name": "ada"}, 400),
        (b" " * 301, 413),
    ],
)
def test_what_is_no_report_is_refused(url, sent, status):
    assert post(url, sent) == status
    assert sum(map(sum, counts(url).values())) == 0


def test_more_seats_than_learners_are_refused(url):
    assert [post(url, report(seat)) for seat in SEATS] == [204, 204, 204, 400]


def test_many_reports_at_once_are_all_counted():
    seats = [f"{n:016x}" for n in range(60)]
    with board.server(("127.0.0.1", 0), PREFIX, PATHS, seats=60) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}{PREFIX}"
        each = [threading.Thread(target=post, args=(url, report(s))) for s in seats]
        for thread in each:
            thread.start()
        for thread in each:
            thread.join()
        assert counts(url)[NAME] == [0, 60, 0]
        server.shutdown()


def test_page_has_a_line_for_each_exercise_and_shows_counts(url, chromium):
    post(url, report(state="correct"))
    page = chromium.new_page()
    errors = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto(url)
    line = page.locator(f'[id="{NAME}"]')
    line.get_by_text("1", exact=True).wait_for()
    assert line.locator("td").all_inner_texts() == ["", "", "1"]
    total = sum(len(lesson.exercises(path)) for path in PATHS)
    assert page.locator("tbody tr[id]").count() == total
    assert errors == []
    page.close()


LAST_LINE = "export default { render };"  # as room_client.py has it


CLIENT = """
import sys, time, types
from IPython.core.interactiveshell import InteractiveShell
from helpers.exercises.verdicts import hint
shell = InteractiveShell.instance()
shell.run_cell(open("tools/workshop/room_client.py").read())
tip, name = sys.argv[1:]
check = types.ModuleType(f"helpers.chapters.{tip}.check")
setattr(check, name, lambda answer: hint("no."))
shell.push({"check": check})
started = time.perf_counter()
shell.run_cell(f"check.{name}(1)")
shell.run_cell("1 + 1")
shell.run_cell("check.__name__")
print("took", time.perf_counter() - started)
time.sleep(1)
"""


def run_client(board_url, seat=SEATS[0]):
    variables = {"MEASURED_PYTORCH_BOARD": board_url, "MEASURED_PYTORCH_SEAT": seat}
    known = {name: value for name, value in variables.items() if value}
    command = [sys.executable, "-c", CLIENT, *NAME.split(".")]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | known, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return float(result.stdout.rsplit("took", 1)[1].split()[0])


def test_kernel_of_the_room_reports_what_a_check_answers(url):
    run_client(url)
    assert counts(url)[NAME] == [0, 1, 0]
    assert sum(map(sum, counts(url).values())) == 1


def test_nothing_is_sent_where_no_hub_has_set_the_variables(url):
    run_client(url, seat="")
    assert sum(map(sum, counts(url).values())) == 0


def test_board_that_is_gone_slows_no_cell():
    assert run_client("http://127.0.0.1:9/") < 0.5


@pytest.mark.parametrize("box", [AnswerBox, AnswerTable])
def test_box_can_be_heard_without_changing_its_script(box):
    client = (ROOT / "tools/workshop/room_client.py").read_text("utf-8")
    assert f'LAST_LINE = "{LAST_LINE}"' in client
    assert box()._esm.count(LAST_LINE) == 1
    assert box()._esm.endswith(LAST_LINE + "\n")


def test_room_is_refused_when_the_memory_does_not_hold_it(monkeypatch):
    class Free:
        available = 24.1e9

    monkeypatch.setattr(memory.psutil, "virtual_memory", Free)
    assert memory.room(23).needed == 24
    with pytest.raises(
        ValueError, match="24 learners at 1 GB .* are 25 GB, .*holds 23"
    ):
        memory.room(24)
    with pytest.raises(ValueError, match="LEARNERS: must be 1 or more, got 0"):
        memory.room(0)


def test_a_learner_has_what_was_measured():
    assert (memory.SERVER_MB + memory.KERNEL_MB) / 1000 < memory.LEARNER_GB
    assert (memory.FILES_MB + memory.HUB_MB) / 1000 < memory.ONCE_GB


@pytest.mark.parametrize("account", [None, "somebody-else"])
def test_other_address_needs_an_account_of_its_own(account):
    room.check_account("127.0.0.1", account)
    with pytest.raises(ValueError, match="learners run code under the account"):
        room.check_account("0.0.0.0", account)


def test_own_account_may_open_the_room_unless_it_is_root(monkeypatch):
    monkeypatch.setattr(room.getpass, "getuser", lambda: "room")
    monkeypatch.setattr(room.os, "geteuid", lambda: 1000)
    room.check_account("0.0.0.0", "room")
    with pytest.raises(ValueError, match="ACCOUNT=other, and you run this as room"):
        room.check_account("0.0.0.0", "other")
    monkeypatch.setattr(room.os, "geteuid", lambda: 0)
    with pytest.raises(ValueError, match="You run this as root"):
        room.check_account("0.0.0.0", "room")


def test_port_of_another_room_is_refused(tmp_path):
    """A second room once said that it is open, and the first one answered there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        opened = room.running(2, [], tmp_path / "homes", port=port)
        with pytest.raises(ValueError, match=f"{port}.*take another port"), opened:
            pass
    assert not (tmp_path / "homes").exists()
