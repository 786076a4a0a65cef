"""The function in SAM's container, as a developer runs it, against the stack of `latchkey dev`: by events and by HTTP."""

import collections
import json
import re
import unittest

import requests
import schemathesis
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

import engine
import support

# What may stand in no log, whatever was asked: the beginning of every token, and what a presigned URL has.
SECRETS = ("eyJ", "auth?token=", "Bearer ey", ".sagemaker.localhost")
WHY_NOT = engine.why_not()
# The one method of each path.
DESCRIBED = {"/presigned-urls": "POST", "/targets": "GET", "/health": "GET"}
CONFORMANCE = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# Below those that the system hands out by itself, so that nothing takes it before SAM listens.
FIRST_PORT = 31_000
OPTIONS = ["--docker-network", "host", "--skip-pull-image", *support.PARAMETERS]


def setUpModule():
    if WHY_NOT is None:
        support.started_engine()


def tearDownModule():
    # Whatever does not end as it should is an error, and not silence at the end of the process.
    support.running.close()


class Local(unittest.TestCase):
    """Tests with the container engine, each skipped with the reason where there can be none."""

    stack = None

    def setUp(self):
        if WHY_NOT is not None:
            self.skipTest(WHY_NOT)
        if Local.stack is None:
            Local.stack = support.Stack()
            support.running.callback(Local.stack.stop)
        self.template = support.built()[1] / "template.yaml"
        self.addCleanup(self.assert_no_file_holds_a_secret)

    def environment(self, **more):
        """The shell's variables for SAM, which passes on those that the template declares."""
        # It keeps things at home, which is no test's business.
        return {**self.stack.env, "DOCKER_HOST": support.started_engine().host, "HOME": str(support.scratch()), **more}

    def assert_holds_no_secret(self, log, *known):
        for number, line in enumerate(log.splitlines()):
            for secret in (*SECRETS, *known):
                self.assertFalse(secret in line, f"line {number} of the log holds a secret: {support.redacted(line)}")

    def assert_no_file_holds_a_secret(self):
        """Nothing that SAM, the stack or schemathesis has left. The function itself knows how a token begins."""
        for path in support.scratch().rglob("*"):
            if path.is_file() and path.name != "bootstrap":
                text = path.read_text(errors="replace")
                self.assertFalse([secret for secret in SECRETS if secret in text], path.relative_to(support.scratch()))

    def assert_opens_once(self, url, profile):
        """The URL opens in the stand-in's Studio, for that profile, and no second time."""
        self.assertTrue(re.fullmatch(r"http://d-[a-z0-9]+\.studio\.eu-central-1\.sagemaker\.localhost:\d+/auth\?token=\S+", url))
        status, _, page = support.request("GET", url, {"Accept": "application/json"})
        self.assertEqual((status, json.loads(page)["user_profile_name"]), (200, profile))
        self.assertEqual(support.request("GET", url, {"Accept": "application/json"})[0], 403)
        host = url.split("/")[2].split(":")[0]
        return f"{host} (token redacted), which opened once, for {profile}"


def json_lines(log):
    """What a log's lines say that are JSON."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def records(log):
    """The audit records among a log's lines."""
    return [record for record in json_lines(log) if record.get("event") == "latchkey.decision"]


def differences(expected, answer):
    """What is wrong with an answer, by the rules of events/README.md."""
    wrong = []
    if (answer["statusCode"], answer["isBase64Encoded"]) != (expected["status"], False):
        wrong.append(f"status {answer['statusCode']}, isBase64Encoded {answer['isBase64Encoded']}")
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    exact = {name.lower(): value for name, value in expected["headers"].items()}
    some = {name.lower() for name in expected.get("headers_any", [])}
    wrong += [f"header {name}" for name in set(headers) ^ (set(exact) | some)]
    wrong += [f"header {name}" for name, value in exact.items() if headers.get(name) != value]
    wrong += [f"header {name} is empty" for name in some if not headers.get(name)]
    if isinstance(expected["body"], str):
        return wrong + ([] if answer["body"] == expected["body"] else ["the body"])
    body = json.loads(answer["body"])
    some = set(expected.get("body_any", []))
    wrong += [f"member {name}" for name in set(body) ^ (set(expected["body"]) | some)]
    wrong += [f"member {name}" for name, value in expected["body"].items() if body.get(name) != value]
    return wrong + [f"member {name} is empty" for name in some if body.get(name) in (None, "")]


class Invoke(Local):
    """`sam local invoke`, with events of events/ and the answers beside them."""

    def invoke(self, case):
        event = self.stack.event(case)
        said = support.sam(
            "local", "invoke", support.FUNCTION, "-e", "-", *OPTIONS, "--template", self.template, given=event, **self.environment()
        )
        self.assertEqual(said.returncode, 0, support.redacted(said.stderr))
        answer = json.loads(said.stdout)
        expected = json.loads((support.ROOT / "events" / f"{case}.expected.json").read_text())
        self.assertEqual(differences(expected, answer), [], support.redacted(said.stdout))
        if expected["audit"] is None:
            self.assertEqual(records(said.stderr), [])
        else:
            (record,) = records(said.stderr)
            self.assertEqual({name: record.get(name) for name in expected["audit"]}, expected["audit"])
        self.assert_holds_no_secret(said.stderr)
        return answer

    def test_a_launch(self):
        url = json.loads(self.invoke("launch")["body"])["url"]
        print(f"\n  launch: 200 with a URL on {self.assert_opens_once(url, 'alice')}")

    def test_a_launch_of_a_browser(self):
        url = self.invoke("launch-html")["headers"]["Location"]
        print(f"\n  launch-html: 303 to a URL on {self.assert_opens_once(url, 'alice')}")

    def test_others(self):
        for case in ("targets", "health", "not-entitled-suspended", "not-private-no-endpoint", "no-token", "body-unknown-member"):
            with self.subTest(case):
                answer = self.invoke(case)
                body = json.loads(answer["body"])
                print(f"\n  {case}: {answer['statusCode']} {body.get('code', '')}", end="")
        print()


    def test_the_refresher(self):
        issuers = [{"id": "local", "issuer": self.stack.described["issuer"], "audiences": ["a"], "jwks": {"source": "table"}}]
        said = support.sam(
            "local", "invoke", "RefresherFunction", "-e", "-", *OPTIONS, "--template", self.template,
            given='{"source": "aws.events"}', **self.environment(LATCHKEY_ISSUERS=json.dumps(issuers)),
        )  # fmt: skip
        self.assertEqual((said.returncode, said.stdout.strip()), (0, "null"), support.redacted(said.stderr))
        (record,) = (line for line in json_lines(said.stderr) if line.get("event") == "latchkey.keys")
        self.assertEqual((record["issuer"], record["outcome"]), ("local", "kept"))
        self.assertTrue(record["key_ids"])
        print(f"\n  the refresher kept {len(record['key_ids'])} keys of the issuer's")


class Api(Local):
    """`sam local start-api`, which serves the template's API without its stage."""

    described = schemathesis.openapi.from_path(support.ROOT / "openapi.yaml")

    def setUp(self):
        super().setUp()
        self.port = engine.free_port(FIRST_PORT)
        self.server = support.Server(
            [
                # Containers that SAM starts at once may be given the same port, as it looks for one before any listens: with LAZY there
                # is but the one that is asked.
                *support.SAM, "local", "start-api", "--port", str(self.port), "--warm-containers", "LAZY",
                *OPTIONS, "--template", self.template,
            ],
            # SAM says of no request that it came through a VPC endpoint.
            **self.environment(LATCHKEY_VPC_ENDPOINT_IDS="any", LATCHKEY_RATE_LIMIT="off"),
        )  # fmt: skip
        self.addCleanup(self.server.stop)
        self.server.wait_for("Running on")
        self.token = self.stack.token("bob")

    def ask(self, method, path, token=None, body=None, **headers):
        """An answer, which must be one that openapi.yaml has for this path."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        with requests.Session() as session:
            # Neither a proxy nor a .netrc.
            session.trust_env = False
            url = f"http://127.0.0.1:{self.port}{path}"
            answer = session.request(method, url, headers=headers, data=body, timeout=support.PATIENCE, allow_redirects=False)
        for name, value in (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff")):
            self.assertEqual(answer.headers.get(name), value, f"{method} {path}")
        if described := DESCRIBED.get(path):
            # A wrong method is answered as the right one describes it.
            try:
                self.described[path][described].Case().validate_response(answer, checks=CONFORMANCE)
            except FailureGroup as failures:
                raise AssertionError(support.redacted(f"{method} {path}: {failures}")) from None
        return answer

    def log(self):
        """All that SAM and the function have written, once SAM has ended."""
        self.assertEqual(self.server.stop(), 0, self.server.said())
        return "\n".join(self.server.lines)

    def test_a_launch(self):
        wish = json.dumps({"target": "research", "landing": "notebooks"})
        answer = self.ask("POST", "/presigned-urls", self.token, wish, Content_Type="application/json")
        self.assertEqual(answer.status_code, 200, support.redacted(answer.text))
        opened = self.assert_opens_once(answer.json()["url"], "bob")
        log = self.log()
        self.assert_holds_no_secret(log, self.token)
        decisions = [(record["decision"], record["subject"], record["target"]) for record in records(log)]
        self.assertEqual(decisions, [("allow", "demo-bob", "research")])
        print(f"\n  POST /presigned-urls: 200 with a URL on {opened}")

    def test_the_other_paths(self):
        answer = self.ask("GET", "/targets", self.token)
        self.assertEqual((answer.status_code, [target["name"] for target in answer.json()["targets"]]), (200, ["research", "risk"]))
        answer = self.ask("GET", "/health")
        self.assertEqual((answer.status_code, answer.json()), (200, {"status": "ok"}))
        # The template's last routes: whatever is left reaches the function, and is answered by it.
        for method, path, code, allow in (
            ("GET", "/presigned-urls", "method-not-allowed", "POST"),
            ("DELETE", "/targets", "method-not-allowed", "GET"),
            ("POST", "/health", "method-not-allowed", "GET"),
            ("GET", "/", "not-found", None),
            ("GET", "/presigned-urls/other", "not-found", None),
        ):
            with self.subTest(f"{method} {path}"):
                answer = self.ask(method, path, self.token)
                self.assertEqual((answer.json()["code"], answer.headers.get("Allow")), (code, allow))
        self.assert_holds_no_secret(self.log(), self.token)
        print("\n  GET /targets and GET /health: 200; another method: 405; another path: 404")

    def test_what_is_refused(self):
        # What schemathesis does not ask for, or does not look at.
        spoilt = self.token[:-8] + ("A" * 8 if self.token[-8:] != "A" * 8 else "B" * 8)
        asked = [
            ("POST", "/presigned-urls", None, None, "invalid-token"),
            ("POST", "/presigned-urls", spoilt, None, "invalid-token"),
            ("GET", "/targets", None, None, "invalid-token"),
            ("GET", "/targets", spoilt, None, "invalid-token"),
            ("POST", "/presigned-urls", self.stack.token("carol"), None, "not-entitled"),
            ("POST", "/presigned-urls", self.token, "{", "invalid-request"),
            ("POST", "/presigned-urls", self.token, json.dumps({"target": "x" * 4097}), "too-large"),
        ]
        for method, path, token, body, code in asked:
            with self.subTest(f"{method} {path}", code=code):
                answer = self.ask(method, path, token, body, Content_Type="application/json")
                self.assertEqual(answer.json()["code"], code)
                challenge = {None: "Bearer", spoilt: 'Bearer error="invalid_token"'}.get(token)
                self.assertEqual(answer.headers.get("WWW-Authenticate"), challenge)
        answer = self.ask("POST", "/presigned-urls", self.token, "target=research", Content_Type="text/plain")
        self.assertEqual(answer.json()["code"], "unsupported-media-type")
        log = self.log()
        self.assert_holds_no_secret(log, self.token, spoilt)
        codes = [code for *_, code in asked] + ["unsupported-media-type"]
        self.assertEqual([(record["decision"], record["code"]) for record in records(log)], [("deny", code) for code in codes])
        print(f"\n  refused, each with a record: {', '.join(dict.fromkeys(codes))}")

    def test_openapi_yaml_says_what_is_answered(self):
        settings = support.scratch() / "schemathesis.toml"
        settings.write_text(
            f'hooks = "{support.ROOT}/tests/sam/schemathesis_hooks.py"\n'
            # It keeps what failed, answers and their URLs included.
            "[cache]\nenabled = false\n"
            "[headers]\n"
            # Out of the environment: a token is written to no file, and to no command line.
            'Authorization = "Bearer ${TOKEN}"\n'
        )
        said = support.run(
            [
                support.TOOLS / "sam" / "bin" / "schemathesis", "--config-file", settings, "run", support.ROOT / "openapi.yaml",
                "--url", f"http://127.0.0.1:{self.port}", "--phases", "examples,coverage,fuzzing",
                # The same requests in every run.
                "--generation-deterministic", "--max-examples", "200",
                # TRACE and QUERY are SAM's to answer, and AWS's: they reach no function.
                "--exclude-checks", "unsupported_method",
                "--continue-on-failure", "--no-color",
            ],
            150, cwd=support.scratch(), TOKEN=self.token, COLUMNS="140",
        )  # fmt: skip
        log = self.log()
        self.assertEqual(said.returncode, 0, support.redacted(f"{said.stdout}\n{said.stderr}"))
        self.assert_holds_no_secret(log, self.token)
        # That it asked, and what came of it: a run that reached nothing would find nothing.
        colours = re.compile(r"\x1b\[[0-9;]*m")
        answers = collections.Counter(re.findall(r'"(?:[A-Z]+) \S* HTTP/1\.1" (\d+)', colours.sub("", log)))
        self.assertGreater(answers.total(), 200)
        self.assertLessEqual({"200", "400", "401", "403", "405", "415"}, set(answers))
        counted = ", ".join(f"{status} ×{count}" for status, count in sorted(answers.items()))
        print(f"\n  {answers.total()} requests by schemathesis, answered as openapi.yaml says: {counted}")


if __name__ == "__main__":
    unittest.main()
