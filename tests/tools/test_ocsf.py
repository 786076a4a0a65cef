"""deploy/ocsf.py: what it makes of audit records is valid by OCSF's own schema, loses nothing, and is what docs/ocsf.md says."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import unittest

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

import audit_samples as samples

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/ocsf.md").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "docs/audit.schema.json").read_text(encoding="utf-8"))

specification = importlib.util.spec_from_file_location("ocsf", ROOT / "deploy/ocsf.py")
ocsf = importlib.util.module_from_spec(specification)
specification.loader.exec_module(ocsf)

# Every member that there is, in one record that the schema would not have together.
EVERYTHING = samples.RECORDS[0] | {
    "detail": "X",
    "group": "data-scientists",
    "provision_role": samples.role("latchkey-provisioning"),
    "findings": ["posture.not-inspected"],
    "aws_request_ids": {"sts": "s-1", "sagemaker": "m-1", "provision": ["p-1"]},
}
# And the least that there can be.
NOTHING = {
    "event": "latchkey.decision",
    "time": "2026-11-17T09:05:00.001Z",
    "request_id": "r",
    "action": "none",
    "decision": "deny",
    "code": "invalid-request",
    "reason": "event.malformed",
    "durations_ms": {"total": 0.0},
    "broker_version": "0.1.0",
}


def schema(version):
    made = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version)).get_class_schema(class_name="api_activity", profiles=["cloud", "security_control"])
    return jsonschema.Draft202012Validator(made)


def faults(validator, event):
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in validator.iter_errors(event)]


def at(event, path):
    for name in path.split("."):
        event = event[int(name)] if isinstance(event, list) else event.get(name) if isinstance(event, dict) else None
    return event


def rows(heading):
    text = DOCUMENT[DOCUMENT.index(heading) :].split("\n\n", 2)
    table = next(part for part in text[1:] if "| --- |" in part)
    table = table[table.index("| --- |") :]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.split("\n\n")[0].splitlines()[1:]]


class Events(unittest.TestCase):
    def test_they_are_valid(self):
        validator = schema(ocsf.VERSION)
        for record in [*samples.RECORDS, EVERYTHING, NOTHING]:
            self.assertEqual([], faults(validator, ocsf.event(record)), record)

    def test_newer_versions_take_them(self):
        for version in re.search(r"valid by ([0-9., and]+) as well", DOCUMENT)[1].replace(" and ", ", ").split(", "):
            validator = schema(version)
            for record in [*samples.RECORDS, EVERYTHING, NOTHING]:
                event = ocsf.event(record)
                event["metadata"]["version"] = version
                self.assertEqual([], faults(validator, event), version)

    def test_what_is_not_valid_is_noticed(self):
        validator = schema(ocsf.VERSION)
        good = ocsf.event(samples.RECORDS[0])
        for change in (
            {"activity_id": 7},
            {"class_uid": 6004},
            {"type_uid": 600305},
            {"severity_id": "1"},
            {"disposition_id": 77},
            {"time": good["metadata"]["original_time"]},
            {"cloud": {}},
            {"actor": {}},
            {"actor": {"user": {"type_id": 1}}},
            {"src_endpoint": {}},
            {"api": {"service": {"name": "latchkey"}}},
            {"metadata": {"version": "1.5.0"}},
            {"resources": [{"type": "studio"}]},
            {"subject": "jane"},
        ):
            self.assertNotEqual([], faults(validator, good | change), change)
        for name in ("time", "metadata", "cloud", "src_endpoint", "severity_id"):
            self.assertNotEqual([], faults(validator, {key: value for key, value in good.items() if key != name}), name)

    def test_nothing_is_lost(self):
        """Every member of the record's schema, each with a value of its own."""
        self.assertEqual(set(EVERYTHING) | {"reason"}, set(SCHEMA["properties"]))
        for record in [*samples.RECORDS, EVERYTHING]:
            event = json.dumps(ocsf.event(record))
            for member, value in record.items():
                if member not in ("action", "decision"):
                    self.assertIn(json.dumps(value), event, member)

    def test_a_claim_is_not_taken_for_an_issuer(self):
        refused = next(record for record in samples.RECORDS if record["code"] == "invalid-token")
        event = ocsf.event(refused)
        self.assertEqual(event["unmapped"]["claimed_issuer_id"], "okta")
        self.assertEqual(event["actor"], {"user": {"name": "unverified", "type_id": 0, "type": "Unknown"}})

    def test_each_decision(self):
        def told(record):
            event = ocsf.event(record)
            return event["activity_name"], event["status"], event["action"], event["disposition"], event["severity"], event["type_uid"]

        by_reason = {record.get("reason", record["action"]): told(record) for record in [*samples.RECORDS, NOTHING]}
        self.assertEqual(by_reason["mint"], ("Create", "Success", "Allowed", "Allowed", "Informational", 600301))
        self.assertEqual(by_reason["list"], ("Read", "Success", "Allowed", "Allowed", "Informational", 600302))
        self.assertEqual(by_reason["grant.expired"], ("Create", "Failure", "Denied", "Blocked", "Low", 600301))
        self.assertEqual(by_reason["token.signature"], ("Create", "Failure", "Denied", "Blocked", "Medium", 600301))
        self.assertEqual(by_reason["sagemaker.access-denied"], ("Create", "Failure", "Denied", "Error", "Medium", 600301))
        self.assertEqual(by_reason["event.malformed"], ("None", "Failure", "Denied", "Blocked", "Low", 600399))
        foreign = samples.RECORDS[0] | {"decision": "deny", "code": "unavailable", "reason": "sagemaker.foreign-url"}
        self.assertEqual(told(foreign)[4], "High")

    def test_times_are_exact(self):
        self.assertEqual(ocsf.milliseconds("1970-01-01T00:00:00.001Z"), 1)
        self.assertEqual(ocsf.milliseconds("2026-11-17T09:05:00.001Z"), 1794906300001)

    def test_other_partitions(self):
        event = ocsf.event(samples.RECORDS[0] | {"region": "cn-north-1", "account": ""})
        self.assertEqual(event["resources"][0]["cloud_partition"], "aws-cn")
        self.assertEqual(event["cloud"], {"provider": "AWS", "region": "cn-north-1"})

    def test_lines_in_and_lines_out(self):
        lines = [text for _, text in samples.decisions()]
        done = subprocess.run([sys.executable, ROOT / "deploy/ocsf.py"], input="\n".join(lines), capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], [ocsf.event(record) for record in samples.RECORDS])


class Document(unittest.TestCase):
    def test_each_member_has_its_row(self):
        self.assertEqual([name.strip("`") for name, *_ in rows("## From member to attribute")], list(SCHEMA["properties"]))

    def test_each_value_is_where_the_table_says(self):
        record = EVERYTHING | {"decision": "deny", "code": "unavailable", "reason": "sagemaker.timeout"}
        event = ocsf.event(record)
        looked_at = 0
        for member, attribute, *how in rows("## From member to attribute"):
            member, attribute = member.strip("`"), attribute.strip("`")
            value = at(event, attribute)
            self.assertIsNotNone(value, attribute)
            if member not in ("action", "decision"):
                looked_at += 1
                self.assertEqual(value, record[member], member)
            # Other attributes that are named beside it are there as well; but for what holds only in other events.
            for other in re.findall(r"and (?:in a deny )?`([a-z_.0-9]+)`", " ".join(how)):
                self.assertIsNotNone(at(event, other), other)
        self.assertEqual(looked_at, len(SCHEMA["properties"]) - 2)

    def test_what_every_event_has(self):
        constants = {name.strip("`"): value for name, value in rows("What every event has:")}
        for record in [*samples.RECORDS, EVERYTHING, NOTHING]:
            event = ocsf.event(record)
            for name in ("category_uid", "class_uid", "metadata.version", "metadata.product.name", "cloud.provider"):
                self.assertEqual(str(at(event, name)), constants[name])
            for name in ("disposition_id", "severity_id"):
                # The number with its caption, as OCSF has it.
                self.assertIn(f"{event[name]} ({event[name.removesuffix('_id')]})", constants[name])

    def test_the_reasons_exist_and_are_the_codes(self):
        known = set(re.findall(r"^\| `([a-z0-9-]+\.[a-z0-9-]+)` \|", (ROOT / "docs/audit.md").read_text(encoding="utf-8"), re.MULTILINE))
        self.assertLessEqual(ocsf.MEDIUM | ocsf.HIGH, known)
        sentence = re.search(r"look like an attempt: (.*?)\. It is", DOCUMENT, re.DOTALL)[1]
        self.assertEqual(set(re.findall(r"`([a-z.-]+)`", sentence)), ocsf.MEDIUM)


if __name__ == "__main__":
    unittest.main()
