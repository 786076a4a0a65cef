"""What is measured, and how: instructions (callgrind), system calls (strace), time, CPU time and memory of a function's process.

A function is started as Lambda starts it, against the servers of servers.py, and asked for launches.
"""

import atexit
import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import servers
import tokens

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
# Instructions are counted as the difference between many requests and few, over their number.
FEW, MANY = 2, 12
# As many role sessions the broker holds (docs/architecture.md, "Caches").
HELD_SESSIONS = 256
# Folders that nothing has to look into before it can serve: trust in servers, and an operator's profiles.
PRIVATE_FOLDERS = ("/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/lib/ssl", "/.aws/")
# How often a count is tried that other work has got into.
ATTEMPTS = 5
# Tokens made ahead of being sent.
BATCH = 5000
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Setup:
    """The surroundings of one measurement. The defaults are the product's default configuration."""

    tls: bool = True
    grants: int = 1
    issuers: int = 1
    keys: int = 1
    algorithm: str = "RS256"
    # Whether the servers' root is trusted. Without it their certificates are refused.
    bundle: bool = True


def other_key(kid):
    """A key that nobody signs with: as long as a real one, and no work to make."""
    modulus = random.getrandbits(2048) | 1 << 2047 | 1
    return {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": tokens.number(modulus, 256), "e": "AQAB"}


def issuers(setup, issuer):
    entries = []
    for number in range(setup.issuers):
        keys = [issuer.jwk() if number == 0 else other_key("key-1"), *(other_key(f"key-{key}") for key in range(2, setup.keys + 1))]
        name = tokens.ISSUER if number == 0 else f"https://idp-{number}.example.com"
        entries.append(
            {"id": f"idp{number or ''}", "issuer": name, "audiences": [tokens.AUDIENCE], "jwks": {"source": "inline", "keys": keys}}
        )
    return entries


def environment(setup, issuer, running):
    """As Lambda gives it to the function, with the stack's variables."""
    return {
        "AWS_REGION": servers.REGION,
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLEFUNCTION1",
        "AWS_SECRET_ACCESS_KEY": "s" * 40,
        "AWS_SESSION_TOKEN": "t" * 700,
        **{f"AWS_ENDPOINT_URL_{service.upper()}": running.endpoint(service, setup.tls) for service in servers.SERVICES},
        # Without TLS there is no bundle to read, and no connection is opened at start: the start alone is what is left.
        **({"AWS_CA_BUNDLE": str(running.bundle)} if setup.tls and setup.bundle else {}),
        "LATCHKEY_ISSUERS": json.dumps(issuers(setup, issuer)),
        "LATCHKEY_TABLE": servers.TABLE,
        "LATCHKEY_VPC_ENDPOINT_IDS": "vpce-0dev",
        "LATCHKEY_ROLE_ARN": servers.ROLE,
        "LATCHKEY_RATE_LIMIT": "20/60",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{running.ports['runtime']}",
        "AWS_LAMBDA_FUNCTION_NAME": "latchkey-broker",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/latchkey-broker",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0123456789abcdef",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }


@dataclasses.dataclass(frozen=True)
class Program:
    """A function: what starts it, and the file that is shipped, if it is one."""

    name: str
    command: tuple
    file: pathlib.Path | None = None
    # Whether it calls AWS at all, and whether it reads a named grant alone.
    calls: bool = True
    by_name: bool = False


def broker():
    file = pathlib.Path(os.environ.get("LATCHKEY_BOOTSTRAP") or TARGET / "lambda" / "broker" / "bootstrap")
    return Program("broker", (str(file),), file, by_name=True)


def empty():
    file = TARGET / "lambda" / "empty-handler" / "bootstrap"
    return Program("empty handler", (str(file),), file, calls=False)


def reference():
    # Its own folder is what Lambda calls the task root.
    start = f"import sys; sys.path.insert(0, {str(pathlib.Path(__file__).parent / 'reference')!r}); "
    start += "sys.argv[0] = 'bootstrap'; from awslambdaric.__main__ import main; main(['bootstrap', 'broker.handler'])"
    return Program("Python reference", (sys.executable, "-c", start))


class DidNotStart(RuntimeError):
    pass


class OtherCalls(RuntimeError):
    """A run did other work than the one that is to be measured."""


@contextlib.contextmanager
def running(program, setup=Setup(), before=(), patience=180):
    """The program, as far as its first wait for an event; then whatever the caller has it do; then its end."""
    issuer = ISSUERS[setup.algorithm]
    with contextlib.ExitStack() as stack:
        serving = servers.Servers(FOLDER, servers.Table(setup.grants))
        stack.callback(serving.close)
        output = stack.enter_context(tempfile.TemporaryFile())
        begun = time.perf_counter()
        process = subprocess.Popen(
            [*before, *program.command], env=environment(setup, issuer, serving), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )  # fmt: skip

        def said():
            output.seek(0)
            return output.read().decode(errors="replace")

        try:
            deadline = time.monotonic() + patience
            while not serving.idle.wait(0.002):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise DidNotStart(f"{program.name} does not wait for an event: {said()[-800:]}")
            function = Running(program, serving, process, issuer, time.perf_counter() - begun)
            yield function
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        function.said = said()


@dataclasses.dataclass
class Running:
    program: Program
    servers: servers.Servers
    process: subprocess.Popen
    issuer: tokens.Issuer
    start_seconds: float
    # What it wrote, once it has ended.
    said: str = ""
    # Launches of each user, and how often grants were to be read in which way.
    launched: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    read: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def launch(self, subjects, target=None, patience=600):
        """One launch for each of the subjects, one after the other."""
        self.servers.send([self.issuer.launch(subject, target) for subject in subjects], patience)
        if set(self.servers.answers) - {200}:
            raise RuntimeError(f"not every launch is answered with 200: {set(self.servers.answers)}")
        self.launched.update(subjects)
        self.read["BatchGetItem" if target and self.program.by_name else "Query"] += len(subjects)
        self.check_calls()

    def check_calls(self):
        """That a run made exactly the calls that it is to make: one that does less must not look quick."""
        launches = sum(self.launched.values())
        if len(self.servers.answers) != launches:
            raise RuntimeError(f"{len(self.servers.answers)} answers to {launches} launches")
        calls = dict(self.servers.aws.calls)
        sessions = calls.pop("AssumeRole", 0)
        expected = {**self.read, "UpdateItem": launches, "CreatePresignedDomainUrl": launches} if self.program.calls else {}
        # A user whose session had to make room for others' gets another.
        users = len(self.launched) if self.program.calls else 0
        most = users if users <= HELD_SESSIONS else launches
        if calls != expected or not users <= sessions <= most:
            raise OtherCalls(f"{self.program.name}: {calls} and {sessions} AssumeRole, not {expected} and {users} to {most}")

    def check_connections(self):
        """One for each service. (The reference opens one more for each user's client.)"""
        opened = dict(self.servers.opened)
        if self.program.by_name and opened != dict.fromkeys(servers.SERVICES, 1):
            raise OtherCalls(f"{self.program.name}: other connections than one for each service: {opened}")

    def status(self, field):
        """A field of /proc/<pid>/status, in bytes."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB$", text, re.M)[1]) * 1024

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def instructions(program, subjects=(), setup=Setup(), target=None, profile=os.devnull):
    """From the process's start to when it waits again after launches for these subjects. User-mode instructions, all threads.

    `profile` is a file for callgrind_annotate."""
    tool = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with running(program, setup, tool) as function:
                if subjects:
                    function.launch(subjects, target)
                    function.check_connections()
        except OtherCalls as problem:
            # Slowed down fiftyfold and on a busy machine, a call can outlast the second that the broker gives it, and is made twice.
            print(f"measured again, {attempt} of {ATTEMPTS}: {problem}", file=sys.stderr)
            if attempt == ATTEMPTS:
                raise
        else:
            # Valgrind writes its summary as the process ends.
            return int(re.findall(r"Collected : (\d+)", function.said)[-1])


def per_request(program, setup=Setup(), target=None, new_users=False):
    """What one more request costs."""

    def subjects(count):
        return [f"user-{number if new_users else 0}" for number in range(count)]

    many, few = (instructions(program, subjects(count), setup, target) for count in (MANY, FEW))
    return (many - few) / (MANY - FEW)


@dataclasses.dataclass
class Start:
    """What a start does before the first poll."""

    system_calls: int
    threads: int
    files: list


def trace(program, tls, bundle):
    """The system calls before the first poll, as strace writes them."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "trace"
        command = ("strace", "-f", "-s", "200", "-o", str(log))
        with running(program, Setup(tls=tls, bundle=bundle), command) as function:
            # strace ends with what it traces, not before it.
            child = int(pathlib.Path(f"/proc/{function.process.pid}/task/{function.process.pid}/children").read_text().split()[0])
            os.kill(child, signal.SIGTERM)
            function.process.wait(60)
        lines = log.read_text(errors="replace").splitlines()
    first_poll = next(number for number, line in enumerate(lines) if "/invocation/next" in line)
    return [line.split(None, 1)[1] for line in lines[:first_poll] if re.match(r"\d+\s+\w+\(", line)]


def start(program):
    """System calls without opening connections. Threads and files also where connections are opened and no bundle takes the place
    of the built-in trust: what reads the system's certificates only for a handshake would read them there (which then fails)."""
    bare, opening = trace(program, tls=False, bundle=False), trace(program, tls=True, bundle=False)
    opened = [match[1] for call in bare + opening if (match := re.match(r'open(?:at)?\([^"]*"([^"]*)"', call))]
    return Start(
        len(bare),
        sum(call.startswith(("clone(", "clone3(")) for call in bare + opening),
        [path for path in opened if any(folder in path for folder in PRIVATE_FOLDERS)],
    )


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


@dataclasses.dataclass
class Times:
    """In seconds."""

    start: float
    first: float
    p50: float
    p99: float
    cpu: float


def times(program, requests, starts=5):
    """A start, and launches by one user. Beside other work of the machine, and with servers in Python: to compare, not to quote."""
    begun = []
    for _ in range(starts):
        with running(program) as function:
            begun.append(function.start_seconds)
    with running(program) as function:
        function.launch(["user-0"])
        first = function.servers.seconds[0]
        function.launch(["user-0"] * 20)
        cpu = function.cpu_seconds()
        function.launch(["user-0"] * requests)
        cpu = (function.cpu_seconds() - cpu) / requests
        seconds = function.servers.seconds[-requests:]
    return Times(statistics.median(begun), first, percentile(seconds, 0.5), percentile(seconds, 0.99), cpu)


def peak_memory(program, requests, users, setup=Setup(algorithm="ES256")):
    """The most memory that the process ever held, in bytes, after so many launches by so many users."""
    with running(program, setup) as function:
        for begin in range(0, requests, BATCH):
            function.launch([f"user-{number % users}" for number in range(begin, min(begin + BATCH, requests))])
        return function.status("VmHWM")


def peak_memory_as_users_come(program, marks, setup=Setup(algorithm="ES256")):
    """The same in one process, each launch by a user who was not there before, looked at after each of so many."""
    seen, peaks = 0, []
    with running(program, setup) as function:
        for mark in marks:
            while seen < mark:
                batch = range(seen, min(seen + BATCH, mark))
                function.launch([f"user-{number}" for number in batch])
                seen = batch.stop
            peaks.append(function.status("VmHWM"))
        sessions = function.servers.aws.calls["AssumeRole"]
    if sessions != seen:
        raise RuntimeError(f"{sessions} sessions for {seen} users")
    return peaks


# One key pair and one authority for all that is measured in one run.
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="latchkey-bench-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
ISSUERS = {algorithm: tokens.Issuer(algorithm) for algorithm in ("RS256", "ES256")}
