"""events/: every case is whole, paired with its answer, shaped as events/README.md says, and holds no token."""

import json
import pathlib
import re
import unittest

EVENTS = pathlib.Path(__file__).resolve().parents[2] / "events"
USERS = {"alice", "bob", "carol", "dave", "erin", "frank", "grace", "kate", "leo", "mia", "nick"}
VARIANTS = {"expired", "other-audience", "other-issuer", "forged", "unknown-key"}
# The contract's table, section 1.
STATUS = {
    "invalid-request": 400,
    "invalid-token": 401,
    "not-entitled": 403,
    "not-private": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "too-large": 413,
    "unsupported-media-type": 415,
}
EVERY_ANSWER = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
EVENT_MEMBERS = {
    "resource", "path", "httpMethod", "headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters",
    "pathParameters", "stageVariables", "requestContext", "body", "isBase64Encoded",
}  # fmt: skip
CONTEXT_MEMBERS = {
    "resourceId", "resourcePath", "httpMethod", "extendedRequestId", "requestTime", "path", "accountId", "protocol", "stage",
    "domainPrefix", "requestTimeEpoch", "requestId", "identity", "domainName", "deploymentId", "apiId",
}  # fmt: skip


def once(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError(f"a member twice: {names}")
    return dict(pairs)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)


def cases():
    return sorted(path.name.removesuffix(".json") for path in EVENTS.glob("*.json") if not path.name.endswith(".expected.json"))


class Events(unittest.TestCase):
    def test_every_case_has_its_answer_and_every_answer_its_case(self):
        answers = sorted(path.name.removesuffix(".expected.json") for path in EVENTS.glob("*.expected.json"))
        self.assertEqual(cases(), answers)
        self.assertGreater(len(answers), 40)

    def test_every_code_that_an_event_alone_can_reach_is_reached(self):
        codes = {read(EVENTS / f"{case}.expected.json")["audit"]["code"] for case in cases() if case != "health"}
        self.assertEqual(codes, {"ok", *STATUS})

    def test_events(self):
        request_ids = set()
        for case in cases():
            with self.subTest(case):
                event = read(EVENTS / f"{case}.json")
                if case == "event-empty":
                    self.assertEqual(event, {})
                    continue
                missing = {"requestContext"} if case == "event-no-request-context" else set()
                self.assertEqual(set(event), EVENT_MEMBERS - missing)
                self.assertIsInstance(event["isBase64Encoded"], bool)
                if isinstance(event["headers"], dict):
                    self.assertEqual(event["headers"], {name: values[-1] for name, values in event["multiValueHeaders"].items()})
                if missing:
                    continue
                context = event["requestContext"]
                self.assertEqual(set(context), CONTEXT_MEMBERS)
                self.assertEqual((context["resourcePath"], context["httpMethod"]), (event["resource"], event["httpMethod"]))
                self.assertEqual(context["domainName"], event["multiValueHeaders"].get("Host", event["multiValueHeaders"].get("host"))[0])
                self.assertNotIn(context["requestId"], request_ids)
                request_ids.add(context["requestId"])

    def test_answers(self):
        for case in cases():
            with self.subTest(case):
                answer = read(EVENTS / f"{case}.expected.json")
                self.assertLessEqual(set(answer), {"why", "status", "headers", "headers_any", "body", "body_any", "audit"})
                self.assertLessEqual({"why", "status", "headers", "body", "audit"}, set(answer))
                for name, value in EVERY_ANSWER.items():
                    self.assertEqual(answer["headers"].get(name), value)
                self.assertTrue("X-Request-Id" in answer["headers"] or "X-Request-Id" in answer.get("headers_any", []))
                self.assertFalse(set(answer["headers"]) & set(answer.get("headers_any", [])))
                if isinstance(answer["body"], dict):
                    self.assertFalse(set(answer["body"]) & set(answer.get("body_any", [])))
                    self.assertIn("Content-Type", answer["headers"])
                if answer["status"] < 400:
                    continue
                code = answer["body"]["code"]
                self.assertEqual(answer["status"], STATUS[code])
                self.assertEqual(answer["body"]["status"], STATUS[code])
                self.assertEqual(answer["body"]["type"], f"urn:problem-type:latchkey:{code}")
                self.assertEqual({"type", "title", "status", "code", "request_id"}, {*answer["body"], *answer["body_any"]})
                self.assertEqual((answer["audit"]["decision"], answer["audit"]["code"]), ("deny", code))
                self.assertEqual("WWW-Authenticate" in answer["headers"], code == "invalid-token")
                self.assertEqual("Allow" in answer["headers"], code == "method-not-allowed")

    def test_the_request_id_comes_back(self):
        for case in cases():
            with self.subTest(case):
                event, answer = read(EVENTS / f"{case}.json"), read(EVENTS / f"{case}.expected.json")
                if "X-Request-Id" in answer["headers"]:
                    self.assertEqual(answer["headers"]["X-Request-Id"], event["requestContext"]["requestId"])

    def test_tokens_are_placeholders(self):
        for path in EVENTS.glob("*.json"):
            with self.subTest(path.name):
                text = path.read_text(encoding="utf-8")
                for user, variant in re.findall(r"\$\{TOKEN:([a-z]+)(?::([a-z-]+))?\}", text):
                    self.assertIn(user, USERS)
                    self.assertIn(variant, {"", *VARIANTS})
                self.assertEqual(text.count("${"), len(re.findall(r"\$\{TOKEN:[a-z]+(?::[a-z-]+)?\}", text)), "another placeholder")
                # A signature would be behind the second dot; the unsigned token has none.
                self.assertIsNone(re.search(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]", text), "a signed token")

    def test_the_too_large_body_is_too_large_by_little(self):
        body = read(EVENTS / "body-too-large.json")["body"]
        self.assertGreater(len(body.encode()), 4096)
        self.assertLess(len(body.encode()), 4096 * 2)


if __name__ == "__main__":
    unittest.main()
