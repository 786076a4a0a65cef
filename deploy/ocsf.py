#!/usr/bin/env python3
"""latchkey's audit records as events of OCSF 1.5.0, class API Activity (6003), profiles cloud and security_control.

    ocsf.py < lines > events        a line of JSON for each record; what is not a record of a decision is left out

Or from Python, as a transformation of Firehose, of Lambda or of a data lake's does: `event(record)`. It needs nothing but Python 3.11.
docs/ocsf.md has the mapping as a table; the tests hold the two together.
"""

import datetime
import json
import sys

VERSION = "1.5.0"
CLASS = 6003

ACTIVITIES = {"mint": (1, "Create"), "list": (2, "Read"), "none": (99, "None")}
OPERATIONS = {"mint": "CreatePresignedUrl", "list": "ListTargets", "none": "None"}

# How bad a refusal is. What is in neither is 2, Low: somebody was refused, which is what a broker is for.
HIGH = frozenset({"sagemaker.foreign-url"})
MEDIUM = frozenset(
    {
        "token.embedded-key",
        "token.key-algorithm",
        "token.replayed",
        "token.signature",
        "endpoint.not-allowed",
        "provision.foreign-profile",
    }
)
SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium", 4: "High"}

# Members that OCSF has no place for. They stay as they are, under `unmapped`.
UNMAPPED = (
    "detail",
    "key_id",
    "group",
    "role",
    "provision_role",
    "findings",
    "url_sha256",
    "url_seconds",
    "session_seconds",
    "aws_request_ids",
    "durations_ms",
    "key_age_seconds",
)


def severity(record):
    if record["decision"] == "allow":
        return 1
    reason = record["reason"]
    if reason in HIGH:
        return 4
    # The broker could not do what it is there for.
    return 3 if reason in MEDIUM or record["code"] in ("unavailable", "internal") else 2


def present(**members):
    """Without what is not known: OCSF leaves out, too, and has no null."""
    return {name: value for name, value in members.items() if value not in (None, "", {}, [])}


def partition(region):
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def event(record):
    """The event of OCSF's for a record (docs/audit.schema.json)."""
    allowed = record["decision"] == "allow"
    activity_id, activity = ACTIVITIES[record["action"]]
    level = severity(record)
    failed = record["code"] in ("unavailable", "internal")
    reason, region, address = record.get("reason"), record.get("region"), record.get("source_ip")
    # Of a token that was refused, the issuer is what it claimed.
    claimed = record["code"] == "invalid-token"
    issuer = None if claimed else record.get("issuer_id")
    unmapped = {name: record[name] for name in UNMAPPED if name in record}
    if claimed and "issuer_id" in record:
        unmapped["claimed_issuer_id"] = record["issuer_id"]

    if "subject" in record:
        user = present(uid=record["subject"], domain=issuer, uid_alt=record.get("source_identity"), type_id=1, type="User")
    else:
        user = {"name": "unverified", "type_id": 0, "type": "Unknown"}
    resource = present(
        uid=record.get("resource_arn"),
        name=record.get("target"),
        type=record.get("kind"),
        region=region,
        cloud_partition=partition(region) if region else None,
    )
    source = present(ip=address, uid=record.get("vpc_endpoint")) or {"name": "unknown"}
    observables = [
        {"name": name, "type_id": kind, "type": caption, "value": value}
        for name, kind, caption, value in (
            ("src_endpoint.ip", 2, "IP Address", address),
            ("resources[].uid", 10, "Resource UID", record.get("resource_arn")),
            ("actor.user.uid", 31, "User Object: uid", record.get("subject")),
        )
        if value
    ]
    disposition_id, disposition = (1, "Allowed") if allowed else (27, "Error") if failed else (2, "Blocked")
    return present(
        category_uid=6,
        category_name="Application Activity",
        class_uid=CLASS,
        class_name="API Activity",
        activity_id=activity_id,
        activity_name=activity,
        type_uid=CLASS * 100 + activity_id,
        type_name=f"API Activity: {'Other' if activity_id == 99 else activity}",
        time=milliseconds(record["time"]),
        duration=round(record["durations_ms"]["total"]),
        severity_id=level,
        severity=SEVERITIES[level],
        status_id=1 if allowed else 2,
        status="Success" if allowed else "Failure",
        status_code=record["code"],
        status_detail=reason,
        action_id=1 if allowed else 2,
        action="Allowed" if allowed else "Denied",
        disposition_id=disposition_id,
        disposition=disposition,
        message=f"{record['action']}: {record['decision']}, {reason or record['code']}",
        metadata={
            "version": VERSION,
            "profiles": ["cloud", "security_control"],
            "product": {"name": "latchkey", "vendor_name": "latchkey", "version": record["broker_version"]},
            "event_code": record["event"],
            "uid": record["request_id"],
            "original_time": record["time"],
        },
        actor=present(user=user, session=present(credential_uid=record.get("token_id")), idp=present(uid=issuer)),
        api=present(
            operation=OPERATIONS[record["action"]],
            service={"name": "latchkey"},
            request={"uid": record["request_id"]},
            response=None if allowed else {"error": record["code"], "error_message": reason},
        ),
        src_endpoint=source,
        cloud=present(
            provider="AWS",
            account=present(uid=record["account"], type_id=10, type="AWS Account") if record.get("account") else None,
            region=region,
        ),
        resources=[resource] if resource else None,
        observables=observables,
        unmapped=unmapped,
    )


def milliseconds(text):
    """RFC 3339, as the record has it, in milliseconds since 1970; without a detour by a float."""
    moment = datetime.datetime.fromisoformat(text)
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(milliseconds=1)


def main():
    for line in sys.stdin:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("event") == "latchkey.decision":
            print(json.dumps(event(record), separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main()
