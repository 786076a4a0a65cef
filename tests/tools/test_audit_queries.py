"""docs/audit.md: the queries that join decisions with CloudTrail find what they say, on made-up records and events."""

import json
import pathlib
import re
import sqlite3
import unittest

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "audit.md"
BOB = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/bob"


def queries():
    """As they stand there, but for the members of CloudTrail's `useridentity`, which Athena has as a row and SQLite as JSON."""
    found = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return [re.sub(r"c\.useridentity\.([a-z.]+)", r"json_extract_scalar(c.useridentity, '$.\1')", query) for query in found]


def extract(text, path):
    """Athena's (Trino's) json_extract_scalar for paths of plain names: text for a scalar, NULL for what is not there."""
    value = json.loads(text)
    for name in path.removeprefix("$.").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return None if isinstance(value, (dict, list)) or value is None else str(value)


def decision(time, subject, sagemaker=None, verdict="allow"):
    record = {"event": "latchkey.decision", "time": time, "decision": verdict, "subject": subject, "resource_arn": BOB}
    if sagemaker:
        record["aws_request_ids"] = {"sts": f"sts-{sagemaker}", "sagemaker": sagemaker}
    return (json.dumps(record),)


ISSUING = "arn:aws:iam::111122223333:role/latchkey-issuing"
ADMIN = "arn:aws:iam::111122223333:role/admin"


def event(time, name, request_id, error=None, source="sagemaker.amazonaws.com", role=ISSUING, subject="okta.jane"):
    identity = {"arn": f"{role}/x".replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")}
    if role:
        identity["sessioncontext"] = {"sessionissuer": {"arn": role}, "sourceidentity": subject}
    return (time, source, name, error, request_id, "10.0.4.17", json.dumps(identity))


class Queries(unittest.TestCase):
    def setUp(self):
        self.athena = sqlite3.connect(":memory:")
        self.athena.create_function("json_extract_scalar", 2, extract, deterministic=True)
        self.athena.execute("CREATE TABLE decisions (line TEXT)")
        self.athena.execute(
            "CREATE TABLE cloudtrail (eventtime TEXT, eventsource TEXT, eventname TEXT, errorcode TEXT, requestid TEXT, "
            "sourceipaddress TEXT, useridentity TEXT)"
        )
        self.athena.executemany(
            "INSERT INTO decisions VALUES (?)",
            [
                decision("2026-11-21T12:00:01.000Z", "joe", "r-2", "deny"),
                decision("2026-11-21T12:00:00.000Z", "jane", "r-1"),
                decision("2026-11-21T12:00:02.000Z", "nobody", None, "deny"),
                ('{"event":"latchkey.keys","aws_request_ids":{"sagemaker":"r-1"}}',),
            ],
        )
        self.athena.executemany(
            "INSERT INTO cloudtrail VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                event("2026-11-21T12:00:00Z", "CreatePresignedDomainUrl", "r-1"),
                event("2026-11-21T12:00:01Z", "CreatePresignedNotebookInstanceUrl", "r-2", "AccessDenied"),
                # An attempt of the broker's whose answer was lost, and which was made again as r-1.
                event("2026-11-21T12:00:00Z", "CreatePresignedDomainUrl", "lost-1"),
                # Somebody who has got hold of the issuing role.
                event("2026-11-21T12:00:02Z", "CreatePresignedDomainUrl", "stolen-1", subject="okta.mallory"),
                event("2026-11-21T12:00:02Z", "CreatePresignedDomainUrl", "stolen-2", "AccessDenied", subject="okta.mallory"),
                event("2026-11-21T12:00:03Z", "CreatePresignedDomainUrl", "console-1", role=ADMIN),
                event("2026-11-21T12:00:03Z", "CreatePresignedDomainUrl", "console-0", "AccessDenied", role=ADMIN),
                event("2026-11-21T12:00:04Z", "CreatePartnerAppPresignedUrl", "console-2", role=ADMIN),
                event("2026-11-21T12:00:05Z", "CreatePresignedMlflowTrackingServerUrl", "user-3", role=""),
                event("2026-11-21T12:00:06Z", "DescribeDomain", "console-4", role=ADMIN),
                event("2026-11-21T12:00:07Z", "AssumeRole", "sts-r-1", None, "sts.amazonaws.com"),
            ],
        )
        self.addCleanup(self.athena.close)

    def test_there_are_three(self):
        self.assertEqual(len(queries()), 3)

    def test_decisions_stand_beside_what_the_trail_says(self):
        rows = self.athena.execute(queries()[0]).fetchall()
        shown = [(subject, verdict, name, error, request_id) for _, subject, _, verdict, _, name, error, request_id in rows]
        self.assertEqual(
            shown,
            [
                ("jane", "allow", "CreatePresignedDomainUrl", None, "r-1"),
                ("joe", "deny", "CreatePresignedNotebookInstanceUrl", "AccessDenied", "r-2"),
            ],
        )

    def test_urls_that_were_made_past_the_broker_are_found(self):
        rows = self.athena.execute(queries()[1]).fetchall()
        self.assertEqual([row[2] for row in rows], ["console-1", "console-2", "user-3"])

    def test_urls_under_the_issuing_role_that_no_record_names_are_found(self):
        rows = self.athena.execute(queries()[2]).fetchall()
        self.assertEqual([(row[2], row[4]) for row in rows], [("lost-1", "okta.jane"), ("stolen-1", "okta.mallory")])


if __name__ == "__main__":
    unittest.main()
