"""The processes of the embedded database: sharing, crashes, restarts."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from pymongo import MongoClient

from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.processes import HOME, database_processes, environment, free_port

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc"),
]

SHARE = """
import sys, pathlib
from database.embedded.server import EmbeddedDatabase
database = EmbeddedDatabase(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(database.start(), flush=True)
sys.stdin.read()
database.stop()
"""
SHORT_START = """
import run
from database.embedded import server
server.START_SECONDS = 1
run.main()
"""
MONGOD = f"""#!/bin/sh
test "$1 $3 $4 $5" = "--dbpath --bind_ip 127.0.0.1 --port" || exit 2
touch "$2/used"
exec {sys.executable} {HOME}/database/embedded/launcher.py --data-dir "$2" --host "$4" --port "$6" \
  --pid-file "$2/pid" --log-file /dev/null
"""


@pytest.fixture
def start(run):
    def start_embedded(**changed):
        return run(MONGODB_URI=None, **changed)

    return start_embedded


@pytest.fixture
def mongod(tmp_path):
    """Return a function: the script of a `mongod` → a PATH that has it."""

    def on_path(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "mongod").write_text(script)
        (folder / "mongod").chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    return on_path


def port_of(data_dir):
    return int((data_dir / "database" / "port").read_text())


def is_listening(port, host="127.0.0.1"):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def sign_up(running):
    assert running.post("/api/auth/signup", **ADA).status_code == 200


def can_log_in(running):
    try:
        return running.post("/api/auth/login", **ADA).status_code == 200
    except requests.ConnectionError:
        return False


class TestProcesses:
    """The owner, the supervisor and the server."""

    def test_folder_is_private_and_port_on_loopback_only(self, start):
        running = start()
        assert running.data_dir.stat().st_mode & 0o777 == 0o700
        assert (running.data_dir / "database").stat().st_mode & 0o777 == 0o700
        assert is_listening(port_of(running.data_dir))
        assert not is_listening(port_of(running.data_dir), "127.0.0.2")

    def test_server_ends_with_run_py(self, start):
        running = start()
        assert database_processes(running.data_dir)
        assert running.terminate() == 0
        assert database_processes(running.data_dir, supervisor=True) == []
        assert not is_listening(port_of(running.data_dir))

    def test_server_ends_after_kill_9_of_run_py(self, start):
        running = start()
        assert database_processes(running.data_dir)
        running.kill()
        wait_until(lambda: not database_processes(running.data_dir, supervisor=True))
        assert not is_listening(port_of(running.data_dir))

    @pytest.mark.parametrize("end", ["terminate", "kill"])
    def test_data_survive_a_restart(self, start, end):
        first = start()
        sign_up(first)
        getattr(first, end)()
        assert can_log_in(start())

    def test_killed_server_is_restarted(self, start):
        running = start()
        sign_up(running)
        (server,) = database_processes(running.data_dir)
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: database_processes(running.data_dir) not in ([], [server]))
        wait_until(lambda: can_log_in(running), 20)

    def test_server_without_supervisor_is_replaced_on_same_port(self, start):
        running = start()
        sign_up(running)
        (server,), port = database_processes(running.data_dir), port_of(running.data_dir)
        (supervisor,) = set(database_processes(running.data_dir, supervisor=True)) - {server}
        os.kill(supervisor, signal.SIGKILL)
        wait_until(lambda: len({*database_processes(running.data_dir)} - {server}) == 1)
        wait_until(lambda: server not in database_processes(running.data_dir))
        wait_until(lambda: can_log_in(running))
        assert port_of(running.data_dir) == port
        assert running.terminate() == 0
        assert database_processes(running.data_dir, supervisor=True) == []

    def test_server_is_restarted_without_standard_input(self, tmp_path):
        command = f"exec {sys.executable} {HOME / 'run.py'} <&-"
        data_dir, port = tmp_path / "data", free_port()
        settings = {"DATA_DIR": data_dir, "PORT": port, "BCRYPT_LOG_ROUNDS": 4}
        with subprocess.Popen(
            ["sh", "-c", command],
            env=environment(**settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            wait_until(lambda: is_listening(port))
            (server,) = database_processes(data_dir)
            os.kill(server, signal.SIGKILL)
            (second,) = wait_until(lambda: set(database_processes(data_dir)) - {server})
            assert second != server
            process.terminate()


class TestSharing:
    """Several processes with one data directory."""

    @pytest.mark.parametrize("end", ["terminate", "kill"])
    def test_second_process_shares_server_and_takes_over(self, start, end):
        first, second = start(), start()
        sign_up(first)
        assert can_log_in(second)
        assert len(database_processes(first.data_dir)) == 1
        getattr(first, end)()
        wait_until(lambda: can_log_in(second), 20)
        assert second.terminate() == 0
        assert database_processes(first.data_dir, supervisor=True) == []

    def test_server_stays_when_second_process_ends(self, start):
        first, second = start(), start()
        sign_up(first)
        assert second.terminate() == 0
        assert can_log_in(first)

    def test_4_processes_started_together_share_one_server(self, tmp_path):
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
        assert len(database_processes(tmp_path)) == 1
        for command in commands:
            command.communicate(timeout=30)
        assert [command.returncode for command in commands] == [0] * 4
        assert database_processes(tmp_path, supervisor=True) == []


class TestStart:
    """What start() finds."""

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
    def test_stale_file_is_ignored(self, start, tmp_path, name, content):
        folder = tmp_path / "data" / "database"
        folder.mkdir(parents=True, mode=0o700)
        (folder / name).write_text(content)
        running = start()
        sign_up(running)
        assert can_log_in(running)

    def test_port_taken_by_another_program_is_not_used(self, start, tmp_path):
        folder = tmp_path / "data" / "database"
        folder.mkdir(parents=True, mode=0o700)
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            (folder / "port").write_text(str(taken))
            running = start()
            sign_up(running)
            assert port_of(running.data_dir) != taken

    def test_mongod_on_path_is_used(self, start, mongod):
        path = mongod(MONGOD)
        running = start(PATH=path)
        sign_up(running)
        assert (running.data_dir / "database" / "mongod" / "used").exists()
        assert not (running.data_dir / "database" / "nx").exists()
        running.terminate()
        assert can_log_in(start(PATH=path))

    def test_existing_nx_files_are_used_despite_mongod(self, start, mongod):
        first = start()
        sign_up(first)
        first.terminate()
        assert can_log_in(start(PATH=mongod(MONGOD)))
        assert not (first.data_dir / "database" / "mongod").exists()

    def test_mongodb_uri_is_used_instead(self, run):
        running = run()
        sign_up(running)
        assert not (running.data_dir / "database").exists()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
    def test_command_prints_its_uri_and_runs_until_a_signal(self, tmp_path, number):
        command = subprocess.Popen(
            [sys.executable, "-m", "database.embedded", tmp_path],
            cwd=HOME,
            stdout=subprocess.PIPE,
            text=True,
        )
        [uri] = re.findall(r"^export MONGODB_URI='(.*)'$", command.stdout.readline())
        with MongoClient(uri) as client:
            assert client.get_default_database().name == "book"
            assert client.admin.command("ping")["ok"] == 1
        command.send_signal(number)
        assert command.communicate(timeout=30) == ("", None)
        assert command.returncode == 0
        assert database_processes(tmp_path, supervisor=True) == []

    @pytest.mark.parametrize("script", ["exit 1", "exec sleep 60 # $2"], ids=["ends", "hangs"])
    def test_failed_start_names_the_log(self, tmp_path, mongod, script):
        path = mongod(f"#!/bin/sh\n{script}\n")
        command = subprocess.run(
            [sys.executable, "-c", SHORT_START],
            cwd=HOME,
            env=environment(DATA_DIR=tmp_path, PORT=free_port(), PATH=path),
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert command.returncode == 1
        assert f"The embedded database did not start; see {tmp_path}/database/log" in command.stderr
        assert "Traceback" not in command.stderr
        wait_until(lambda: not database_processes(tmp_path, supervisor=True))
