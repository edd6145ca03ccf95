"""The embedded database: started by `run.py`, shared, watched, and gone with its owner."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.conftest import ADA, wait_until
from tests.servers import HOME, environment
from tests.smtp import free_port

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")

SHARE = """
import sys, pathlib, database.embedded
embedded = database.embedded.EmbeddedDatabase(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(embedded.start(), flush=True)
sys.stdin.read()
embedded.stop()
"""
HASTY = "import database.embedded, run; database.embedded.START_SECONDS = 1; run.main()"
MONGOD = f"""#!/bin/sh
test "$1 $3 $4 $5" = "--dbpath --bind_ip 127.0.0.1 --port" || exit 2
touch "$2/used"
exec {sys.executable} -m nx_27017.nx_27017 --data-dir "$2" --host "$4" --port "$6" \
  --pid-file "$2/pid" --log-file /dev/null
"""


@pytest.fixture
def start(run):
    def start_embedded(**changed):
        return run(MONGODB_URI=None, **changed)

    return start_embedded


@pytest.fixture
def mongod(tmp_path):
    """Return a function: what a `mongod` does → a PATH that has it."""

    def on_path(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "mongod").write_text(script)
        (folder / "mongod").chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    return on_path


def pids(data_dir, but="embedded.py"):
    """Return the processes of data_dir's server, by default without its guardian."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{data_dir}/database".encode() in command and but.encode() not in command:
            found.append(int(process.name))
    return found


def port_of(data_dir):
    return int((data_dir / "database" / "port").read_text())


def listens(port, host="127.0.0.1"):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def sign_up(running):
    assert running.post("/api/auth/signup", **ADA).status_code == 200


def logs_in(running):
    try:
        return running.post("/api/auth/login", **ADA).status_code == 200
    except requests.ConnectionError:
        return False


def test_it_lives_in_a_private_folder_on_loopback_alone(start):
    running = start()
    assert running.data_dir.stat().st_mode & 0o777 == 0o700
    assert (running.data_dir / "database").stat().st_mode & 0o777 == 0o700
    assert listens(port_of(running.data_dir))
    assert not listens(port_of(running.data_dir), "127.0.0.2")


def test_it_ends_with_run_py(start):
    running = start()
    assert pids(running.data_dir)
    assert running.terminate() == 0
    assert pids(running.data_dir, but="nothing") == []
    assert not listens(port_of(running.data_dir))


def test_it_ends_after_a_kill_9_of_run_py(start):
    running = start()
    assert pids(running.data_dir)
    running.kill()
    wait_until(lambda: not pids(running.data_dir, but="nothing"))
    assert not listens(port_of(running.data_dir))


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_data_outlive_a_restart(start, end):
    first = start()
    sign_up(first)
    getattr(first, end)()
    assert logs_in(start())


def test_it_is_started_again_when_it_dies(start):
    running = start()
    sign_up(running)
    (server,) = pids(running.data_dir)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: pids(running.data_dir) not in ([], [server]))
    wait_until(lambda: logs_in(running), 20)


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_second_process_shares_it_and_takes_over(start, end):
    first, second = start(), start()
    sign_up(first)
    assert logs_in(second)
    assert len(pids(first.data_dir)) == 1
    getattr(first, end)()
    wait_until(lambda: logs_in(second), 20)
    assert second.terminate() == 0
    assert pids(first.data_dir, but="nothing") == []


def test_a_second_process_leaves_it_to_the_first(start):
    first, second = start(), start()
    sign_up(first)
    assert second.terminate() == 0
    assert logs_in(first)


def test_4_processes_that_start_at_once_share_one(tmp_path):
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", SHARE, tmp_path],
            cwd=HOME,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert [command.stdout.readline() for command in commands] == ["ready\n"] * 4
    for command in commands:
        command.stdin.write("\n")
        command.stdin.flush()
    uris = {command.stdout.readline().strip() for command in commands}
    assert uris == {f"mongodb://127.0.0.1:{port_of(tmp_path)}/?retryWrites=false"}
    assert len(pids(tmp_path)) == 1
    for command in commands:
        command.communicate(timeout=30)
    assert [command.returncode for command in commands] == [0] * 4
    assert pids(tmp_path, but="nothing") == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nx.pid", "1"),
        ("nx.pid", "garbage"),
        ("port", "garbage"),
        ("port", ""),
        ("lock", "1234"),
    ],
    ids=lambda text: text or "empty",
)
def test_a_stale_file_does_not_stop_a_start(start, tmp_path, name, content):
    folder = tmp_path / "data" / "database"
    folder.mkdir(parents=True, mode=0o700)
    (folder / name).write_text(content)
    running = start()
    sign_up(running)
    assert logs_in(running)


def test_a_port_that_another_program_has_taken_meanwhile_is_left_to_it(start, tmp_path):
    folder = tmp_path / "data" / "database"
    folder.mkdir(parents=True, mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        (folder / "port").write_text(str(taken))
        running = start()
        sign_up(running)
        assert port_of(running.data_dir) != taken


def test_a_mongod_on_path_is_used_in_its_place(start, mongod):
    path = mongod(MONGOD)
    running = start(PATH=path)
    sign_up(running)
    assert (running.data_dir / "database" / "mongod" / "used").exists()
    assert not (running.data_dir / "database" / "nx").exists()
    running.terminate()
    assert logs_in(start(PATH=path))


def test_files_of_nx_27017_are_used_on_when_a_mongod_appears(start, mongod):
    first = start()
    sign_up(first)
    first.terminate()
    assert logs_in(start(PATH=mongod(MONGOD)))
    assert not (first.data_dir / "database" / "mongod").exists()


def test_mongodb_uri_overrides_it(run):
    running = run()
    sign_up(running)
    assert not (running.data_dir / "database").exists()


@pytest.mark.parametrize("script", ["exit 1", "exec sleep 60 # $2"], ids=["ends", "hangs"])
def test_run_py_says_where_the_log_is_when_it_can_not_start(tmp_path, mongod, script):
    settings = {"DATA_DIR": tmp_path, "PORT": free_port(), "PATH": mongod(f"#!/bin/sh\n{script}\n")}
    command = subprocess.run(
        [sys.executable, "-c", HASTY],
        cwd=HOME,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert command.returncode == 1
    assert f"The embedded database did not start; see {tmp_path}/database/log" in command.stderr
    assert "Traceback" not in command.stderr
    wait_until(lambda: not pids(tmp_path, but="nothing"))


def test_a_server_that_outlives_its_guardian_is_replaced_on_the_same_port(start):
    running = start()
    sign_up(running)
    (server,), port = pids(running.data_dir), port_of(running.data_dir)
    (guardian,) = set(pids(running.data_dir, but="nothing")) - {server}
    os.kill(guardian, signal.SIGKILL)
    wait_until(lambda: server not in pids(running.data_dir) and len(pids(running.data_dir)) == 1)
    wait_until(lambda: logs_in(running))
    assert port_of(running.data_dir) == port
    assert running.terminate() == 0
    assert pids(running.data_dir, but="nothing") == []


def test_it_is_started_again_when_run_py_has_no_standard_input(tmp_path):
    command = f"exec {sys.executable} {HOME / 'run.py'} <&-"
    data_dir, port = tmp_path / "data", free_port()
    settings = {"DATA_DIR": data_dir, "PORT": port, "BCRYPT_LOG_ROUNDS": 4}
    with subprocess.Popen(
        ["sh", "-c", command],
        env=environment(**settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: listens(port))
        (server,) = pids(data_dir)
        os.kill(server, signal.SIGKILL)
        (again,) = wait_until(lambda: set(pids(data_dir)) - {server})
        assert again != server
        process.terminate()
