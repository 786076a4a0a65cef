"""openapi.yaml: sound by OpenAPI's own schema, whole, and each example as its own schema says, formats included.

That it is what the service answers is `tests/tests/docs.rs`; what the gateway answers, `tests/boundary/test_templates.py`.
"""

import pathlib
import re
import unittest

import jsonschema
import openapi_spec_validator
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
API = yaml.safe_load(TEXT)
# Of the formats that are used, jsonschema checks those whose libraries are there: dates, and no URIs.
FORMATS = jsonschema.FormatChecker(["date-time"])
FORMATS.checks("uri")(lambda text: not isinstance(text, str) or re.fullmatch(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.-]+[!-~]*", text) is not None)
EVERY_ANSWER = {"Cache-Control", "Referrer-Policy", "X-Content-Type-Options", "X-Request-Id"}


def resolved(part):
    """What a reference is to, or the part itself."""
    while "$ref" in part:
        found = API
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def answers():
    """Every answer: where it stands, its status, and itself. Those that are components, and those that stand at an operation."""
    statuses = {}
    for path, methods in API["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if "$ref" in response:
                    statuses.setdefault(response["$ref"].rpartition("/")[2], set()).add(status)
                else:
                    yield f"{method} {path} {status}", status, response
    for name, response in API["components"]["responses"].items():
        # What is described for no path is for every other path.
        (status,) = statuses.get(name, {"404"})
        yield name, status, response


def faults(schema, instance):
    whole = {**schema, "components": API["components"]}
    validator = jsonschema.Draft202012Validator(whole, format_checker=FORMATS)
    return [error.message for error in validator.iter_errors(instance)]


def examples(part):
    """The examples of a media type or a header, by name."""
    return {name: example["value"] for name, example in part.get("examples", {}).items()} | ({"example": part["example"]} if "example" in part else {})


class OpenApi(unittest.TestCase):
    def test_it_is_openapi(self):
        openapi_spec_validator.validate(API)
        self.assertEqual(API["openapi"], "3.1.0")

    def test_the_formats_are_checked(self):
        """Without their libraries, nobody would look."""
        self.assertTrue(faults({"type": "string", "format": "date-time"}, "2026-11-21 12:00"))
        self.assertTrue(faults({"type": "string", "format": "uri"}, "not a uri"))
        self.assertEqual(set(re.findall(r"format: ([a-z-]+)", TEXT)), {"date-time", "uri"})

    def test_each_example_is_as_its_schema_says(self):
        seen = 0
        bodies = [(where, media) for where, _, response in answers() for media in response.get("content", {}).values()]
        bodies += [("request", media) for methods in API["paths"].values() for operation in methods.values() for media in operation.get("requestBody", {}).get("content", {}).values()]
        headers = [(f"{where} {name}", resolved(header)) for where, _, response in answers() for name, header in response["headers"].items()]
        for where, part in bodies + headers:
            with self.subTest(where):
                self.assertTrue(examples(part), "has no example")
                for name, example in examples(part).items():
                    self.assertEqual(faults(part["schema"], example), [], name)
                    seen += 1
        self.assertGreater(seen, 100)

    def test_each_answer_is_whole(self):
        for where, status, response in answers():
            with self.subTest(where):
                self.assertLessEqual(EVERY_ANSWER, set(response["headers"]))
                for header in response["headers"].values():
                    self.assertIn("required", resolved(header))
                if status == "303":
                    self.assertNotIn("content", response)
                    self.assertIn("Location", response["headers"])
                    continue
                ((media, content),) = response["content"].items()
                self.assertEqual(media, "application/problem+json" if int(status) >= 400 else "application/json")
                self.assertTrue(all(resolved(header)["required"] for name, header in response["headers"].items() if name in EVERY_ANSWER))

    def test_each_code_of_an_answer_has_an_example_there(self):
        codes = set()
        for where, status, response in answers():
            if int(status) < 400:
                continue
            with self.subTest(where):
                content = response["content"]["application/problem+json"]
                code = content["schema"]["properties"]["code"]
                named = set(code.get("enum", [code.get("const")]))
                shown = {example["code"] for example in examples(content).values()}
                self.assertEqual(shown, named)
                self.assertTrue(all(example["status"] == int(status) for example in examples(content).values()))
                self.assertTrue(all(f"`{name}`" in response["description"] for name in named))
                codes |= named
        self.assertEqual(codes, set(API["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]))

    def test_what_the_codes_bring_along(self):
        """Headers that a code has to have, and the state, which is that of one code alone."""
        want = {"invalid-token": "WWW-Authenticate", "method-not-allowed": "Allow", "rate-limited": "Retry-After", "unavailable": "Retry-After", "target-not-ready": "Retry-After"}
        seen = set()
        for where, status, response in answers():
            if int(status) >= 400:
                for example in examples(response["content"]["application/problem+json"]).values():
                    code = example["code"]
                    self.assertEqual(set(response["headers"]) - EVERY_ANSWER, {want[code]} if code in want else set(), where)
                    self.assertEqual("state" in example, code == "target-not-ready", where)
                    seen.add(code)
        self.assertLessEqual(set(want), seen)
        problem = API["components"]["schemas"]["Problem"]
        refused = {"type": "urn:problem-type:latchkey:internal", "title": "x", "status": 500, "code": "internal", "request_id": "1"}
        self.assertEqual(faults(problem, refused), [])
        self.assertTrue(faults(problem, refused | {"state": "Pending"}))
        self.assertTrue(faults(problem, refused | {"code": "target-not-ready"}))

    def test_nothing_is_left_over(self):
        for kind, parts in API["components"].items():
            for name in parts:
                if kind == "securitySchemes":
                    self.assertIn({name: []}, API["security"])
                elif (kind, name) != ("responses", "NotFound"):
                    self.assertIn(f"'#/components/{kind}/{name}'", TEXT)

    def test_no_example_is_a_secret(self):
        """What stands for a token or for the rest of a URL says so."""
        self.assertNotIn("eyJ", TEXT)
        shown = re.findall(r"https://[^\s']+[?&]\w*[tT]oken=(\S+)", TEXT)
        self.assertGreater(len(shown), 4)
        self.assertEqual(set(shown), {"EXAMPLE"})
        self.assertIsNone(re.search(r"\bAKIA|\bASIA", TEXT))

    def test_where_it_points_there_is_something(self):
        self.assertTrue((ROOT / API["externalDocs"]["url"]).exists())


if __name__ == "__main__":
    unittest.main()
