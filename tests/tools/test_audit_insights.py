"""docs/audit.md, "What auditors ask": each query finds what it says, in made-up lines (insights.py runs it, strictly)."""

import json
import pathlib
import re
import unittest

import jsonschema

import audit_samples as samples
import insights

ROOT = pathlib.Path(__file__).resolve().parents[2]
LITERAL = re.compile(r'"[^"\n]*"|/(?:[^/\\\n]|\\.)+/')


def queries():
    """Those with a name, and the last of the others."""
    text = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
    section = text[text.index("## What auditors ask\n") : text.index("## Joining with CloudTrail\n")]
    found, name = {}, None
    for named, block in re.findall(r"^`latchkey/([a-z-]+)`\.|^```text\n(.*?)^```$", section, re.DOTALL | re.MULTILINE):
        if named:
            name = named
        elif name in found:
            found["without-a-record"] = block
        else:
            found[name] = block
    return found


def asked(name, lines):
    return insights.run(queries()[name], lines)


class Samples(unittest.TestCase):
    def test_the_records_are_as_the_schema_says(self):
        schema = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/audit.schema.json").read_text()))
        for record in samples.RECORDS:
            self.assertEqual([], [error.message for error in schema.iter_errors(record)], record["time"])
        self.assertFalse(schema.is_valid(samples.RECORDS[0] | {"url": "x"}))


class Queries(unittest.TestCase):
    def test_there_are_five_and_one(self):
        names = ["who-opened-what", "who-was-refused", "a-users-month", "urls-outside-the-broker", "without-a-record", "who-changed-grants"]
        self.assertEqual(list(queries()), names)

    def test_who_opened_what(self):
        rows = asked("who-opened-what", samples.decisions())
        self.assertEqual(
            [(row["time"], row["subject"], row["kind"], row["resource_arn"], row["url_sha256"][0]) for row in rows],
            [
                ("2026-11-17T09:01:00.000Z", "joe", "studio", samples.JANE, "5"),
                ("2026-11-03T17:45:00.000Z", "00u1a2b3", "studio", samples.JANE, "4"),
                ("2026-11-03T12:31:00.000Z", "00u1a2b3", "notebook", samples.NOTES, "3"),
                ("2026-11-03T12:30:00.000Z", "00u1a2b3", "studio", samples.JANE, "2"),
                ("2026-11-03T08:00:00.000Z", "00u1a2b3", "studio", samples.JANE, "1"),
            ],
        )
        for row in rows:
            self.assertEqual((row["issuer_id"], row["role"], row["session_seconds"]), ("okta", samples.ISSUING, 28800))
        self.assertEqual([row.get("group") for row in rows], ["research-desk", None, None, None, None])

    def test_who_was_refused(self):
        rows = asked("who-was-refused", samples.decisions())
        self.assertEqual(
            [(row.get("issuer_id"), row.get("subject"), row["code"], row["reason"], row.get("target")) for row in rows],
            [
                ("okta", "joe", "unavailable", "sagemaker.timeout", "research"),
                ("okta", "00u1a2b3", "target-not-compliant", "posture.not-compliant", "research"),
                ("okta", "00u1a2b3", "unavailable", "sagemaker.access-denied", "research"),
                (None, None, "not-private", "endpoint.not-allowed", None),
                ("okta", None, "invalid-token", "token.signature", None),
                ("okta", None, "invalid-token", "token.signature", None),
                ("okta", None, "invalid-token", "token.expired", None),
                ("auth0", "00u1a2b3", "not-entitled", "subject.suspended", None),
                ("okta", "00u1a2b3", "rate-limited", "usage.rate-limited", None),
                ("okta", "00u1a2b3", "not-entitled", "grant.expired", "research"),
            ],
        )
        self.assertEqual([row["detail"] for row in rows if "detail" in row], ["AccessDeniedException"])

    def test_the_sum_of_the_refusals(self):
        document = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
        (more,) = re.findall(r"put `(\| stats .*?)` after the first line", document)
        rows = insights.run(queries()["who-was-refused"].splitlines()[0] + more, samples.decisions())
        self.assertEqual(rows[0], {"refused": 2, "code": "invalid-token", "reason": "token.signature"})
        self.assertEqual(sum(row["refused"] for row in rows), 10)

    def test_a_users_month(self):
        rows = asked("a-users-month", samples.decisions())
        self.assertEqual(
            [(row["day"], row["asked"], row["result"], row["times"], row["addresses"]) for row in rows],
            [
                ("2026-11-03", samples.JANE, "ok", 3, 2),
                ("2026-11-03", samples.NOTES, "ok", 1, 1),
                ("2026-11-03", "list", "ok", 1, 1),
                ("2026-11-17", "research", "grant.expired", 1, 1),
                ("2026-11-17", "mint", "usage.rate-limited", 1, 1),
                ("2026-11-17", samples.JANE, "sagemaker.access-denied", 1, 1),
                ("2026-11-17", samples.JANE, "posture.not-compliant", 1, 1),
            ],
        )
        self.assertEqual((rows[0]["first_time"], rows[0]["last_time"]), ("2026-11-03T08:00:00.000Z", "2026-11-03T17:45:00.000Z"))

    def test_urls_outside_the_broker(self):
        rows = asked("urls-outside-the-broker", samples.trails())
        self.assertEqual([row["requestID"] for row in rows], [f"past-{number}" for number in (7, 6, 5, 4, 3, 2, 1)])
        by_id = {row["requestID"]: row for row in rows}
        self.assertEqual(by_id["past-2"]["errorCode"], "AccessDenied")
        self.assertEqual((by_id["past-3"]["userIdentity.type"], by_id["past-3"]["userIdentity.arn"]), ("IAMUser", samples.USER))
        self.assertNotIn("userIdentity.sessionContext.sourceIdentity", by_id["past-6"])

    def test_urls_without_a_record(self):
        rows = asked("without-a-record", samples.decisions() + samples.trails())
        self.assertEqual([row["call"] for row in rows], ["stolen-1", *(f"past-{number}" for number in (7, 6, 5, 4, 3, 1))])
        self.assertEqual(rows[0]["who"], f"arn:aws:sts::{samples.ACCOUNT}:assumed-role/latchkey-issuing/session")

    def test_who_changed_grants(self):
        rows = asked("who-changed-grants", samples.trails())
        self.assertEqual([row["requestID"] for row in rows], [f"write-{number}" for number in (9, 8, 7, 6, 5, 4, 3, 2, 1)])
        self.assertEqual(
            [(row["userIdentity.arn"].rsplit(":", 1)[1], row.get("requestParameters.key.sk"), row.get("errorCode")) for row in rows],
            [
                ("assumed-role/grants/session", "GROUP", None),
                ("assumed-role/admin/session", None, None),
                ("assumed-role/admin/session", None, None),
                ("assumed-role/admin/session", None, None),
                ("assumed-role/latchkey-broker/session", "TARGET#research", "AccessDenied"),
                ("assumed-role/grants/session", "TARGET#research", "ConditionalCheckFailedException"),
                ("user/mallory", "TARGET#research", None),
                ("assumed-role/grants/session", "SUBJECT", None),
                ("assumed-role/grants/session", "TARGET#research", None),
            ],
        )

    def test_a_field_that_is_misspelt_is_noticed(self):
        """Each field of each query, one at a time."""
        lines = samples.decisions() + samples.trails()
        tried = 0
        for name, query in queries().items():
            insights.run(query, lines)
            without_literals = LITERAL.sub(lambda match: " " * len(match[0]), query)
            for match in re.finditer(r"[@A-Za-z_][\w.@]*", without_literals):
                if match[0] in insights.KEYWORDS:
                    continue
                wrong = f"{query[: match.end()]}x{query[match.end() :]}"
                # The name that is given to a value may be another one, as long as nothing uses it.
                if re.search(r"\bas $", query[: match.start()]) and not re.search(rf"\b{match[0]}\b", query[match.end() :]):
                    continue
                tried += 1
                with self.subTest(name, field=match[0]), self.assertRaises(insights.QueryError):
                    insights.run(wrong, lines)
        self.assertGreater(tried, 60)

    def test_what_a_condition_says_is_noticed(self):
        """Each literal of each query changed: other rows, or none."""
        lines = samples.decisions() + samples.trails()
        for name, query in queries().items():
            rows = insights.run(query, lines)
            for match in LITERAL.finditer(query):
                # No sample has these.
                if match[0] in ('"BatchExecuteStatement"', '"ExecuteTransaction"'):
                    continue
                wrong = f"{query[: match.end() - 1]}x{query[match.end() - 1 :]}"
                with self.subTest(name, literal=match[0]):
                    self.assertNotEqual(insights.run(wrong, lines), rows)


class Interpreter(unittest.TestCase):
    LINES = [(1, '{"a": "x", "n": 1, "deep": {"list": [{"b": "y"}]}}'), (2, '{"a": "z"}'), (3, "no JSON")]

    def test_what_it_does_not_know_is_an_error(self):
        for query in (
            "parse @message '*' as b",
            "dedup a",
            "filter a =~ /x/",
            "filter nosuch = 'x'",
            "filter a = 'x' or nosuch = 'x'",
            "filter A = 'x'",
            "filter a = 1",
            "filter a",
            "filter a = 'x",
            "filter (a = 'x'",
            "filter strlen(a) = 1",
            "filter isPresent(a)",
            "filter not a in 'x'",
            "fields a-b",
            "fields substr(a, 0, 1)",
            "fields coalesce(n, 'none') as x",
            "fields substr(a, 0, 1) as n",
            "fields a as by",
            "stats avg(n) as x",
            "stats count(*)",
            "stats count(*) as x by a",
            "stats count(*) as x by bin(1d)",
            "filter ispresent(a) | stats count(*) as x by a | fields n",
            "sort n desc",
            "sort a dsc",
            "limit 10001",
            "fields a |",
            "| fields a",
            "fields a b",
            "filter a != 'x'",
            "filter n not in [1]",
            "filter not (a like /x/)",
        ):
            with self.subTest(query), self.assertRaises(insights.QueryError):
                insights.run(query, self.LINES)

    def test_what_it_knows(self):
        for query, rows in (
            ("filter a = 'x'", [{"@timestamp": 1, "@message": self.LINES[0][1]}]),
            ("filter a in ['x', 'z'] | fields a | sort a desc | limit 1", [{"a": "z"}]),
            ("filter ispresent(a) and a not like 'x' | fields a", [{"a": "z"}]),
            ("filter a like /^[xy]/ | fields `deep.list.0.b` as b", [{"b": "y"}]),
            ("# a line\nfilter not ispresent(a) | fields @message", [{"@message": "no JSON"}]),
            ("filter ispresent(a) | stats count(*) as all, count(n) as some, latest(a) as last", [{"all": 2, "some": 1, "last": "z"}]),
            ("filter n >= 1 and (a = 'x' or a = 'q') | fields coalesce(n, a) as v", [{"v": 1}]),
            ("fields coalesce(n, a) as v, a as name | filter v = 'z'", None),
        ):
            with self.subTest(query):
                if rows is None:
                    self.assertRaises(insights.QueryError, insights.run, query, self.LINES)
                else:
                    self.assertEqual(insights.run(query, self.LINES), rows)

    def test_a_line_of_more_fields_than_cloudwatch_finds_is_an_error(self):
        self.assertRaises(insights.QueryError, insights.run, "fields a", [(1, json.dumps({"a": 1} | {f"m{n}": n for n in range(200)}))])


if __name__ == "__main__":
    unittest.main()
