"""What the tests with SAM share: the tools, the build, the stack, and processes that end with the tests."""

import atexit
import contextlib
import ctypes
import functools
import hashlib
import http.client
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import engine

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("LATCHKEY_TOOLS") or ROOT / "target" / "tools").absolute()
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
TEMPLATE = ROOT / "template.yaml"
FUNCTION = "BrokerFunction"
# Every function of the template, and the binary that `make build` makes of it.
FUNCTIONS = {FUNCTION: "broker", "RefresherFunction": "jwks-refresher"}

# This machine's, whatever the template's default.
ARCHITECTURE = engine.ARCHITECTURE or "x86_64"
PARAMETERS = ["--parameter-overrides", f"Architecture={ARCHITECTURE}"]

# Seconds; far more than it takes, for whatever is not a build. A build compiles the SDK when there is none yet.
PATIENCE, BUILD = 60, 1800

# SAM and the stack end in order by SIGINT. A shell that starts the tests in the background has them ignore it, and so would they.
signal.signal(signal.SIGINT, signal.default_int_handler)
# And what a person does by Ctrl-C, a machine does by this one.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# What is to be ended, also when Ctrl-C keeps unittest from it, and before the files go.
files, running = contextlib.ExitStack(), contextlib.ExitStack()
atexit.register(files.close)
atexit.register(running.close)


@functools.cache
def scratch():
    """A folder for everything that is written here and in SAM's name."""
    folder = tempfile.mkdtemp(prefix="latchkey-sam-")
    files.callback(shutil.rmtree, folder, ignore_errors=True)
    return pathlib.Path(folder)


def environment(**more):
    """A developer's own AWS account, SAM settings and container engine are out of reach."""
    mine = ("AWS_", "LATCHKEY_", "SAM_", "DOCKER_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    env.update(
        # cargo-lambda and Zig are in there.
        PATH=os.pathsep.join([str(TOOLS / "python" / "bin"), env.get("PATH", os.defpath)]),
        TMPDIR=str(scratch()),
        DOCKER_CONFIG=str(scratch()),
        SAM_CLI_TELEMETRY="0",
        __SAM_CLI_APP_DIR=str(scratch() / "sam"),
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_REGION="eu-central-1",
        AWS_DEFAULT_REGION="eu-central-1",
        NO_COLOR="1",
    )
    # SAM asks the container by HTTP.
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
    env.update(more)
    return env


def redacted(text):
    """What may be printed: no token of anybody's, and no presigned URL."""
    text = re.sub(r"eyJ[\w-]*(\.[\w-]*)*", "(a token, redacted)", text)
    return re.sub(r"(\btoken=)[^\s\"'&]+", r"\1(redacted)", text)


def run(command, seconds=PATIENCE, given="", cwd=ROOT, **more):
    """Runs a command to its end and gives back what came of it. Nothing of it is printed."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        cwd=cwd, env=environment(**more), preexec_fn=end_with_parent,
    )  # fmt: skip
    try:
        out, err = process.communicate(given, seconds)
    except BaseException:
        stop(process)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


# The SAM CLI, as its own `sam` but for the log.
SAM = [TOOLS / "sam" / "bin" / "python", pathlib.Path(__file__).with_name("patient_sam.py")]


def sam(*arguments, by=(), **more):
    """Runs a command of the SAM CLI; by another command, if one is named."""
    return run([*by, *SAM, *arguments], **more)


LIBC, PR_SET_PDEATHSIG = ctypes.CDLL(None), 1


def end_with_parent():
    """Runs in a new process: the kernel ends it when the tests end, even by force."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stop(process, seconds=PATIENCE):
    """Ends a process as Ctrl-C does, and gives back its exit code; by force if it takes too long, which is an error."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    return process.returncode


class Server:
    """A process that runs beside the tests. Its lines are kept."""

    def __init__(self, command, **more):
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            cwd=scratch(), env=environment(**more), preexec_fn=end_with_parent,
        )  # fmt: skip
        self.lines, self.fresh = [], queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.fresh.put(line.rstrip("\n"))
        self.fresh.put(None)

    def wait_for(self, text):
        """The first new line that has this text."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                line = self.fresh.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                raise AssertionError(f"no line with {text!r} in time:\n{self.said()}") from None
            if line is None:
                raise AssertionError(f"it ended without a line with {text!r}:\n{self.said()}")
            if text in line:
                return line

    def said(self):
        return redacted("\n".join(self.lines))

    def stop(self):
        code = stop(self.process)
        self.reader.join(PATIENCE)
        self.process.stdout.close()
        return code


class Stack:
    """A running `latchkey dev`: what the function runs against, and its environment."""

    def __init__(self):
        file = scratch() / "dev.env"
        self.server = Server([latchkey(), "dev", "--json", "--port", "0", "--env-file", file])
        try:
            self.described = json.loads(self.server.wait_for('"issuer"'))
            # As a shell reads it: NAME='value'.
            self.env = {name: value[1:-1] for name, value in (line.split("=", 1) for line in file.read_text().splitlines())}
        except BaseException:
            self.server.stop()
            raise
        finally:
            file.unlink(missing_ok=True)

    def event(self, case):
        """An event of events/, with its tokens. They are in memory alone."""
        said = run([latchkey(), "event", "--issuer", self.described["issuer"], ROOT / "events" / f"{case}.json"])
        if said.returncode != 0:
            raise AssertionError(f"no event {case}: {redacted(said.stderr)}")
        return said.stdout

    def token(self, user):
        """A token of a made-up user."""
        status, _, body = request("POST", f"{self.described['issuer']}/dev/token", {}, f"user={user}")
        if status != 200:
            raise AssertionError(f"no token for {user}: {status}")
        return body.strip()

    def stop(self):
        return self.server.stop()


def request(method, url, headers=None, body=None):
    """Status, headers and body of an answer. A name below localhost is this machine, whatever a resolver says."""
    parts = urllib.parse.urlsplit(url)
    headers = {"Host": parts.netloc, **(headers or {})}
    if body is not None:
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=PATIENCE)
    try:
        connection.request(method, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def latchkey():
    """The command, built as the whole-system tests build it: with the same features, so that nothing is compiled twice."""
    said = run(["cargo", "test", "--workspace", "--locked", "--no-run", "--test", "command_line"], BUILD)
    if said.returncode != 0:
        raise AssertionError(f"latchkey cannot be built:\n{said.stderr}")
    return TARGET / "debug" / "latchkey"


@functools.cache
def built():
    """The functions' digests as `make build` makes them, and the folder that `sam build` makes."""
    flags = "--arm64" if ARCHITECTURE == "arm64" else ""
    made = run(["make", "--no-print-directory", "build", f"LAMBDA_FLAGS={flags}"], BUILD, LATCHKEY_TOOLS=str(TOOLS))
    if made.returncode != 0:
        raise AssertionError(f"make build failed:\n{made.stderr}")
    # Before SAM: its build writes to the same place.
    digests = {function: sha256(TARGET / "lambda" / binary / "bootstrap") for function, binary in FUNCTIONS.items()}
    folder = scratch() / "build"
    # As `make sam` does.
    by = [ROOT / "deploy" / "reproducibly"]
    said = sam("build", "--template", TEMPLATE, "--build-dir", folder, *PARAMETERS, by=by, seconds=BUILD, LATCHKEY_TOOLS=str(TOOLS))
    if said.returncode != 0:
        raise AssertionError(f"sam build failed:\n{said.stderr[-4000:]}")
    return digests, folder


@functools.cache
def started_engine():
    """The one engine for all tests, with an image in which the function runs."""
    started = engine.Engine()
    running.callback(started.stop)
    started.make_image(built()[1] / FUNCTION / "bootstrap")
    return started
