"""The tests' own container engine: it runs something, and nothing of it is left."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import docker

import engine

WHY_NOT = engine.why_not()


def machine():
    """What an engine would change on this machine: interfaces, and packet filter rules."""
    rules = []
    if save := engine.find("iptables-save"):
        said = subprocess.run([save], capture_output=True, text=True, check=True).stdout
        rules = [line for line in said.splitlines() if line.startswith("-A")]
    return sorted(os.listdir("/sys/class/net")), rules


def left_of(name):
    """Processes, mounts, control groups and files that have to do with an engine."""
    left = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if name.encode() in (command := (process / "cmdline").read_bytes()):
                left.append(command.replace(b"\0", b" ").decode())
    left += [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if name in line]
    left += [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if name in folder]
    return left + [str(path) for path in pathlib.Path(tempfile.gettempdir()).glob(f"{name}*")]


class Engine(unittest.TestCase):
    def setUp(self):
        if WHY_NOT is not None:
            self.skipTest(WHY_NOT)
        self.before = machine()

    def assert_nothing_left(self, name):
        self.assertEqual(left_of(name), [])
        self.assertEqual(machine(), self.before)

    def test_a_container_has_the_hosts_network_and_nothing_is_left(self):
        one = engine.Engine()
        try:
            one.make_image()
            client = docker.DockerClient(base_url=one.host)
            with contextlib.closing(client), socket.create_server(("127.0.0.1", 0)) as server:
                # Seen from inside: a port of this machine's, in the kernel's list of those that listen.
                port = f"0100007F:{server.getsockname()[1]:04X}"
                said = client.containers.run(f"{engine.IMAGE}:al2023", ["/bin/sh", "-c", "while read l; do echo $l; done </proc/net/tcp"])
                self.assertIn(port, said.decode())
                # It was not removed, and one more is left running.
                client.containers.run(f"{engine.IMAGE}:al2023", ["/bin/sh", "-c", "while :; do :; done"], detach=True)
            self.assertNotEqual(left_of(one.folder.name), [])
        finally:
            one.stop()
        self.assert_nothing_left(one.folder.name)

    def test_it_ends_with_the_tests_even_by_force(self):
        code = "import engine, time; print(engine.Engine().folder.name, flush=True); time.sleep(600)"
        tests = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=pathlib.Path(__file__).parent)
        with tests:
            name = tests.stdout.readline().strip()
            tests.send_signal(signal.SIGKILL)
        until = time.monotonic() + engine.DOWN
        while left_of(name) and time.monotonic() < until:
            time.sleep(0.2)
        self.assertTrue(name)
        self.assert_nothing_left(name)


if __name__ == "__main__":
    unittest.main()
