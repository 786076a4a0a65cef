#!/usr/bin/env python3
"""A container engine of the tests' own, for `sam local`: a dockerd that nobody else sees and of which nothing is left.

    target/tools/sam/bin/python tests/sam/engine.py      as root: one for a person, until Ctrl-C

It runs in mount and process namespaces of its own. What it writes lies on a tmpfs in there, and every process that it starts
ends with the first one, so the kernel tidies up even after a crash. It has no bridge and no iptables rules. Another engine on
this machine is neither used nor touched: its socket, its containerd and its settings cannot be seen from inside.

`sam local … --docker-network host` is how the function is to reach a stack on 127.0.0.1. SAM takes the option and then leaves
the container where it is by default (aws/aws-sam-cli#3609, also in 1.170). This engine does what the option says: it gives each
container the host's network, and has the emulator in it listen on the port that SAM wanted published.

No image can be pulled where the tests run. `Engine` makes one from nothing, of this machine's shell and libraries.
"""

import contextlib
import functools
import glob
import http.client
import io
import json
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time

ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}.get(os.uname().machine)
# Both names: with and without the architecture. SAM asks for one or the other, by runtime.
IMAGE = "public.ecr.aws/lambda/provided"
TAGS = ("al2023", f"al2023-{ARCHITECTURE}")
# What SAM's own Dockerfile runs in the image.
PROGRAMS = ("sh", "mv", "chmod")
# Seconds; each is far more than it takes.
UP, DOWN = 60, 60

NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def find(program):
    """Where a program is. Those of an administrator are not on everyone's path."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))


@functools.cache
def why_not():
    """Why there can be no engine on this machine; nothing when there can."""
    if sys.platform != "linux":
        return "no container engine: it takes Linux"
    if ARCHITECTURE is None:
        return f"no container engine: there is no Lambda for {os.uname().machine}"
    if os.geteuid() != 0:
        return "no container engine: it takes root"
    for program in ("dockerd", "containerd", "runc", "unshare", "mount", "ldd", *PROGRAMS):
        if find(program) is None:
            return f"no container engine: {program} is missing (tests/tools/install engine says why)"
    if not os.access("/sys/fs/cgroup", os.W_OK):
        return "no container engine: /sys/fs/cgroup cannot be written"
    # Root in a container may not be allowed to.
    tried = subprocess.run([*NAMESPACES, "mount", "-t", "tmpfs", "tmpfs", "/run"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if tried.returncode != 0:
        return f"no container engine: root may not make namespaces and mounts here ({tried.stderr.strip()})"
    return None


class Engine:
    """The engine, from outside. `stop` it, whatever happens; it also stops when this process ends in any way."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="latchkey-engine-"))
        self.host = f"unix://{self.folder}/docker.sock"
        self.log = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C is for the tests, which then stop it in order.
        self.process = subprocess.Popen(
            [*NAMESPACES, sys.executable, __file__, "serve", self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True,
        )  # fmt: skip
        try:
            readable, _, _ = select.select([self.process.stdout], [], [], UP)
            if not readable or self.process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"the container engine did not start:\n{self.said()}")
        except BaseException:
            self.stop()
            raise

    def said(self):
        """The end of its log."""
        # Reading it the usual way would move the place where the engine writes.
        log = os.pread(self.log.fileno(), 1 << 20, 0)
        return "\n".join(log.decode(errors="replace").splitlines()[-20:])

    def make_image(self, *binaries):
        """An image in place of AWS's, in which these binaries and SAM's Dockerfile run."""
        import docker  # of the SAM CLI

        client = docker.APIClient(base_url=self.host, version="auto", timeout=UP)
        try:
            client.import_image_from_data(image(binaries), repository=IMAGE, tag=TAGS[0])
            for tag in TAGS[1:]:
                client.tag(f"{IMAGE}:{TAGS[0]}", IMAGE, tag)
        finally:
            client.close()

    def stop(self):
        """Ends it, and all that it runs. Says so when something was left to be ended by force."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            code = self.process.wait(DOWN)
        except subprocess.TimeoutExpired:
            # unshare takes the first process inside with it, and that takes all others.
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        said = self.said()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if code != 0:
            raise RuntimeError(f"the container engine did not end as it should ({code}):\n{said}")


def for_a_person():
    """An engine that is used by hand, with an image for the function that `make build` has made."""
    if reason := why_not():
        sys.exit(reason)
    binary = pathlib.Path(__file__).resolve().parents[2] / "target" / "lambda" / "broker" / "bootstrap"
    if not binary.exists():
        sys.exit("there is no function yet: make build")
    engine = Engine()
    try:
        engine.make_image(binary)
        print(f"export DOCKER_HOST={engine.host}\nIt is there until Ctrl-C, for `--docker-network host --skip-pull-image`.", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print()
    finally:
        engine.stop()


def image(binaries):
    """A tar of an image's root: the programs, the binaries' libraries and theirs, and the folders that Lambda has."""
    programs = {name: os.path.realpath(find(name)) for name in PROGRAMS}
    libraries = set()
    for binary in [*programs.values(), *binaries]:
        said = subprocess.run(["ldd", binary], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
        libraries.update(re.findall(r"(?:^\s*|=> )(/\S+) \(0x", said, re.MULTILINE))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder, mode in (("tmp", 0o1777), ("var/task", 0o755), ("var/rapid", 0o755), ("etc", 0o755)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        passwd = tarfile.TarInfo("etc/passwd")
        content = b"root:x:0:0:root:/:/bin/sh\n"
        passwd.size, passwd.mode = len(content), 0o644
        tar.addfile(passwd, io.BytesIO(content))
        files = {f"bin/{name}": path for name, path in programs.items()} | {path.lstrip("/"): os.path.realpath(path) for path in libraries}
        for name, path in sorted(files.items()):
            tar.add(path, arcname=name)
    return out.getvalue()


# --------------------------------------------------------------------------------- what follows runs inside the namespaces


def serve(folder):
    """Runs dockerd until standard input closes. This is the first process in its namespace: with it, all others end."""
    if os.getpid() != 1:
        # It ends every process that it can see.
        sys.exit("this runs in namespaces of its own: see Engine")
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    own = folder / "own"
    own.mkdir()
    # /run hides another engine's sockets, /etc/docker its settings.
    for place in (own, "/run", *filter(os.path.isdir, ["/etc/docker"])):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place], check=True)
    runtime, runc = own / "runtime", find("runc")
    ours = shlex.join([sys.executable, __file__, "create", f"{own}/data", runc])
    # Called many times for each container; only one of the calls is of interest.
    runtime.write_text(f'#!/bin/sh\ncase " $* " in *" create "*) exec {ours} "$@" ;; esac\nexec {shlex.quote(runc)} "$@"\n')
    runtime.chmod(0o755)
    parent = f"/{folder.name}"
    env = {**os.environ, "PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]), "TMPDIR": str(own)}
    dockerd = subprocess.Popen(
        [
            find("dockerd"), "--host", f"unix://{folder}/docker.sock", "--group", "root", "--log-level", "warn",
            "--data-root", own / "data", "--exec-root", own / "exec", "--pidfile", own / "pid",
            # Copies, where others mount; an image of a few megabytes is all there is.
            "--storage-driver", "vfs",
            "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=false",
            "--cgroup-parent", parent, "--exec-opt", "native.cgroupdriver=cgroupfs",
            "--add-runtime", f"host={runtime}", "--default-runtime", "host",
        ],
        stdin=subprocess.DEVNULL, stdout=sys.stderr, env=env, cwd=own,
    )  # fmt: skip
    try:
        until = time.monotonic() + UP
        while not answers(folder / "docker.sock"):
            if dockerd.poll() is not None or time.monotonic() > until:
                raise RuntimeError("dockerd does not answer")
            time.sleep(0.1)
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0.5)[0]:
            if dockerd.poll() is not None:
                raise RuntimeError(f"dockerd ended by itself ({dockerd.returncode})")
    finally:
        # Every process in this namespace, and none outside it: the engine, and what is left of its containers. To ask it to end
        # them would take longer, and what it would tidy up is in here. Without members, the control groups can go.
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
        remove_groups(parent)
        subprocess.run(["umount", "--lazy", own], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def answers(path):
    """Whether the engine's API does."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def remove_groups(name):
    """Removes the control groups at that path: one in version 2, one for each controller in version 1."""
    for top in [f"/sys/fs/cgroup{name}", *glob.glob(f"/sys/fs/cgroup/*{name}")]:
        for folder, _, _ in os.walk(top, topdown=False):
            # The kernel lets go of the last process a moment after it has ended.
            for _ in range(50):
                try:
                    os.rmdir(folder)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.1)


def free_port(first):
    """The first that is free. SAM takes its ports from 5000 on; 10000 more are still below those that the system hands out."""
    for port in range(first, first + 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError(f"no port from {first} on is free")


def create(data, runc, arguments):
    """Stands in for `runc create`: the container gets the host's network."""
    bundle = pathlib.Path(arguments[arguments.index("--bundle") + 1])
    container = arguments[-1]
    path = bundle / "config.json"
    spec = json.loads(path.read_text())
    spec["linux"]["namespaces"] = [space for space in spec["linux"]["namespaces"] if space["type"] != "network"]
    # What dockerd would set up in a network of the container's own, and may not in the host's.
    spec.pop("hooks", None)
    spec["linux"]["sysctl"] = {name: value for name, value in spec["linux"].get("sysctl", {}).items() if not name.startswith("net.")}
    ports = json.loads((pathlib.Path(data) / "containers" / container / "hostconfig.json").read_text()).get("PortBindings") or {}
    if published := ports.get("8080/tcp"):
        # The emulator would take 8080 and 9001 whichever of several containers it is in.
        port = int(published[0]["HostPort"])
        spec["process"]["args"] += [
            "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{free_port(port + 10_000)}",
        ]  # fmt: skip
    path.write_text(json.dumps(spec))
    os.execv(runc, [runc, *arguments])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", folder]:
            serve(pathlib.Path(folder))
        case ["create", data, runc, *arguments]:
            create(data, runc, arguments)
        case []:
            for_a_person()
        case _:
            sys.exit("engine.py takes no argument")
