"""What a function is measured against: a Lambda runtime API, and DynamoDB, STS and SageMaker over TLS with canned answers.

All of it is on 127.0.0.1, in one thread of its own. The answers are as short as AWS's are, and right as far as a client looks:
what is measured is the client.
"""

import asyncio
import collections
import datetime
import functools
import ipaddress
import json
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

REGION = "eu-central-1"
ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/latchkey-issuing"
TABLE = "latchkey"
DOMAIN = "d-abcdefghijkl"
SERVICES = ("dynamodb", "sts", "sagemaker")


@functools.cache
def authority(folder):
    """A root, an intermediate and a server certificate for 127.0.0.1, all RSA with 2048 bits, as AWS's endpoints have them: two
    signatures to check for the chain, and one for the handshake. Gives back the server's TLS context and the root's PEM file."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(name, key, issuer_name, issuer_key, ca):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    root_key, between_key, key = (rsa.generate_private_key(65537, 2048) for _ in range(3))
    root = certificate("bench root", root_key, "bench root", root_key, True)
    between = certificate("bench intermediate", between_key, "bench root", root_key, True)
    server = certificate("bench", key, "bench intermediate", between_key, False)
    bundle, chain, secret = folder / "root.pem", folder / "chain.pem", folder / "server.key"
    bundle.write_bytes(pem(root))
    chain.write_bytes(pem(server) + pem(between))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return context, bundle


def attributes(values):
    return {name: {"BOOL": value} if isinstance(value, bool) else {"S": value} for name, value in values.items()}


def grant(subject, target, default=False):
    row = {
        "pk": f"SUBJECT#idp#{subject}", "sk": f"TARGET#{target}", "kind": "studio", "domain_id": DOMAIN,
        "user_profile_name": f"u-{subject}"[:63].rstrip("-"), "region": REGION, "enabled": True, "default": default,
    }  # fmt: skip
    return attributes(row)


class Table:
    """The grants of every subject: as many as are asked for, the first of them the default."""

    def __init__(self, grants=1):
        self.grants = grants

    def find(self, key):
        kind, _, target = key["sk"]["S"].partition("#")
        number = int(target.removeprefix("target-")) if kind == "TARGET" else self.grants
        return grant(key["pk"]["S"].split("#", 2)[2], target, number == 0) if number < self.grants else None

    def answer(self, operation, request):
        if operation == "Query":
            key = request["ExpressionAttributeValues"]
            subject = next(value["S"] for value in key.values()).split("#", 2)[2]
            items = [grant(subject, f"target-{number}", number == 0) for number in range(self.grants)]
            return {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if operation == "BatchGetItem":
            found = [item for key in request["RequestItems"][TABLE]["Keys"] if (item := self.find(key))]
            return {"Responses": {TABLE: found}, "UnprocessedKeys": {}}
        return {}


class Aws:
    """The three services: an answer for each call, and a count of the calls."""

    def __init__(self, table):
        self.table = table
        self.calls = collections.Counter()

    def answer(self, service, headers, body):
        if service == "sts":
            self.calls["AssumeRole"] += 1
            end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            key = f"ASIAEXAMPLE{self.calls['AssumeRole']:09}"
            return "text/xml", (
                '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
                "<SourceIdentity>x</SourceIdentity><AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId>"
                f"<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/latchkey-issuing/x</Arn></AssumedRoleUser><Credentials>"
                f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{'s' * 40}</SecretAccessKey>"
                f"<SessionToken>{'t' * 700}</SessionToken><Expiration>{end}</Expiration></Credentials>"
                "<PackedPolicySize>12</PackedPolicySize></AssumeRoleResult><ResponseMetadata>"
                "<RequestId>8e7cfe41-0b0f-4d2f-8f2c-5b0c6f1f7a11</RequestId></ResponseMetadata></AssumeRoleResponse>"
            )
        target = headers["x-amz-target"].split(".", 1)[1]
        self.calls[target] += 1
        request = json.loads(body)
        if service == "dynamodb":
            return "application/x-amz-json-1.0", json.dumps(self.table.answer(target, request))
        url = f"https://{DOMAIN}.studio.{REGION}.sagemaker.aws/auth?token={'e' * 600}"
        return "application/x-amz-json-1.1", json.dumps({"AuthorizedUrl": url})


class Servers:
    """Everything, running in a thread until it is closed.

    `idle` is set while the function waits for an event. `answers` are the statuses it answered with (the bodies hold URLs);
    `seconds` is how long each took, from the event's last byte to the answer's.
    """

    def __init__(self, folder, table):
        self.context, self.bundle = authority(folder)
        self.aws = Aws(table)
        # Connections for each service.
        self.opened = collections.Counter()
        self.events = collections.deque()
        self.answers = []
        self.seconds = []
        self.idle = threading.Event()
        self._wanted = None
        self.loop = asyncio.new_event_loop()
        self.ports = {}
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        if not ready.wait(10):
            raise RuntimeError("the servers do not start")

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self._wanted = asyncio.Event()
        self.loop.run_until_complete(self._start())
        ready.set()
        self.loop.run_forever()
        # Connections that are still open end before the loop does.
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    async def _start(self):
        async def listen(name, handle, context=None):
            server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
            self.ports[name] = server.sockets[0].getsockname()[1]

        for service in SERVICES:
            await listen(f"{service}-tls", lambda r, w, service=service: self._serve(r, w, service), self.context)
            await listen(service, lambda r, w, service=service: self._serve(r, w, service))
        await listen("runtime", lambda r, w: self._serve(r, w, None))

    async def _serve(self, reader, writer, service):
        if service:
            self.opened[service] += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                start, *lines = head.decode("latin-1").split("\r\n")
                method, path, _ = start.split(" ", 2)
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
                body = b""
                if "content-length" in headers:
                    body = await reader.readexactly(int(headers["content-length"]))
                elif headers.get("transfer-encoding") == "chunked":
                    while size := int(await reader.readuntil(b"\r\n"), 16):
                        body += (await reader.readexactly(size + 2))[:-2]
                    await reader.readexactly(2)
                if service:
                    status, more = "200 OK", {}
                    kind, text = ("text/plain", "") if method == "HEAD" else self.aws.answer(service, headers, body)
                    more["x-amzn-requestid"] = "8e7cfe41-0b0f-4d2f-8f2c-5b0c6f1f7a11"
                else:
                    status, more, kind, text = await self._runtime(method, path, body)
                more |= {"content-type": kind, "content-length": str(len(text.encode()))}
                more["date"] = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
                answer = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in more.items()) + "\r\n"
                writer.write((answer + text).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            # The other side has gone, or everything ends (asyncio's streams do not expect a handler to be cancelled).
            pass
        finally:
            writer.close()

    async def _runtime(self, method, path, body):
        if method == "GET" and path.endswith("/invocation/next"):
            if not self.events:
                self.idle.set()
            while not self.events:
                self._wanted.clear()
                await self._wanted.wait()
            event = self.events.popleft()
            number = len(self.answers)
            self.begun = time.perf_counter()
            more = {
                "lambda-runtime-aws-request-id": f"8476a536-e9f4-11e8-9739-{number:012}",
                "lambda-runtime-deadline-ms": str(int(time.time() * 1000) + 600_000),
                "lambda-runtime-invoked-function-arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:latchkey-broker",
                "lambda-runtime-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
            }
            return "200 OK", more, "application/json", event
        if method == "POST" and path.endswith("/response"):
            self.seconds.append(time.perf_counter() - self.begun)
            self.answers.append(json.loads(body)["statusCode"])
            return "202 Accepted", {}, "application/json", '{"status":"OK"}'
        # A function that could not start, or gave up: whoever waits is told so by its end.
        return "202 Accepted", {}, "application/json", '{"status":"OK"}'

    def send(self, events, patience):
        """Has these events handled; returns once the function polls for another."""
        self.idle.clear()

        def put():
            self.events.extend(events)
            self._wanted.set()

        self.loop.call_soon_threadsafe(put)
        if not self.idle.wait(patience):
            raise RuntimeError(f"the function does not come back ({len(self.answers)} answers)")

    def endpoint(self, service, tls):
        return f"https://127.0.0.1:{self.ports[f'{service}-tls']}" if tls else f"http://127.0.0.1:{self.ports[service]}"

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
