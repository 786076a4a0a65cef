"""docs/runbook.md: its shell is sound, its queries run, and AWS's command line has the commands and options that it and others name."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import botocore.session
from botocore import xform_name

import audit_samples as samples
import insights

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
GROUPS = {"/aws/lambda/latchkey-broker": samples.decisions, "/aws/apigateway/latchkey": samples.access, "/aws/lambda/latchkey-jwks-refresher": samples.keys}

# Commands that botocore's models have not, with their options: the AWS command line's own.
CUSTOM = {("cloudformation", "deploy"): {"stack-name", "template-file", "parameter-overrides", "capabilities", "tags"}}
# The command line's own name for a service.
RENAMED = {"configservice": "config"}
# `aws help`: global options, and those of every command.
EVERYWHERE = {"region", "profile", "output", "query", "no-cli-pager", "endpoint-url", "cli-binary-format", "max-items", "page-size", "starting-token", "cli-input-json", "debug"}


def blocks(text):
    return re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def asked(text):
    """The log group and the query of each `ask`, as the shell would have them."""
    for block in blocks(text):
        for group, single, double in re.findall(r"""^ *ask (\S+) (?:'([^']*)'|"((?:[^"\\]|\\.)*)")""", block, re.MULTILINE):
            yield group, single or re.sub(r'\\(["$\\`])', r"\1", double)


class Shell(unittest.TestCase):
    def test_the_blocks_are_sound(self):
        """Together, as the first ones have the functions that the others call."""
        shellcheck = pathlib.Path(sys.executable).with_name("shellcheck")
        script = "#!/bin/bash\n" + "\n".join(blocks(RUNBOOK))
        done = subprocess.run([shellcheck, "--color=never", "-"], input=script, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_ask_waits_and_shows_rows(self):
        """With a made-up `aws`, which is done at the third look."""
        functions = next(block for block in blocks(RUNBOOK) if "ask() {" in block)
        rows = {"status": "Complete", "results": [[{"field": "reason", "value": "sts.timeout"}, {"field": "times", "value": "3"}, {"field": "@ptr", "value": "x"}]]}
        with tempfile.TemporaryDirectory() as folder:
            aws = pathlib.Path(folder) / "aws"
            aws.write_text(
                "#!/bin/bash\n"
                f'printf "%s\\n" "$*" >> {folder}/calls\n'
                'case "$*" in\n'
                '  *start-query*) echo query-1 ;;\n'
                f'  *"--query status"*) [ "$(grep -c "query status" {folder}/calls)" -lt 3 ] && echo Running || echo Complete ;;\n'
                f"  *) echo {shlex.quote(json.dumps(rows))} ;;\n"
                "esac\n"
            )
            aws.chmod(0o755)
            done = subprocess.run(
                ["bash", "-c", f"{functions}\nsleep() {{ :; }}\nreasons unavailable"],
                env={"PATH": f"{folder}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            calls = (pathlib.Path(folder) / "calls").read_text()
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", "Complete\nreason=sts.timeout  times=3\n"))
        self.assertIn('--log-group-name /aws/lambda/latchkey-broker --query-string filter event = "latchkey.decision" and code = "unavailable"', calls)
        self.assertEqual(calls.count("--query-id query-1"), 4)


class Queries(unittest.TestCase):
    def test_each_finds_something(self):
        found = list(asked(RUNBOOK))
        self.assertGreaterEqual(len(found), 12)
        self.assertEqual(len(found), sum(len(re.findall(r"^ *ask /", block, re.MULTILINE)) for block in blocks(RUNBOOK)))
        for group, query in found:
            query = query.replace('code = "$1"', 'code = "unavailable"')
            # "…" stands for what the user says.
            query = query.replace('request_id = "…"', 'request_id in ["a-1", "request-2026-11-17T09:06:00.000Z"]')
            with self.subTest(query=query):
                self.assertNotEqual(insights.run(query, GROUPS[group]()), [])

    def test_the_reasons_come_with_the_last_request(self):
        query = next(query for _, query in asked(RUNBOOK) if "$1" in query)
        rows = insights.run(query.replace("$1", "unavailable"), samples.decisions())
        self.assertEqual([(row["reason"], row["times"]) for row in rows], [("sagemaker.access-denied", 1), ("sagemaker.timeout", 1)])
        self.assertEqual(rows[0]["last_request"], "request-2026-11-17T09:06:00.000Z")


class Commands(unittest.TestCase):
    @staticmethod
    def commands(block):
        """Each `aws SERVICE OPERATION …` of a block, with its options; also within `$(…)`."""
        text = re.sub(r"\\\n", " ", block)
        # What is quoted is a value, unless it is a command itself.
        text = re.sub(r"'[^']*'", "x", text)
        for start in re.finditer(r"\baws ([a-z0-9]+) ([a-z-]+)", text):
            rest = text[start.end() :]
            # Up to the end of the command, leaving out the commands within it.
            depth, kept, index = 0, [], 0
            while index < len(rest):
                if rest.startswith("$(", index):
                    depth += 1
                elif rest[index] == ")":
                    depth -= 1
                    if depth < 0:
                        break
                elif depth == 0 and rest[index] in "\n|;":
                    break
                if depth == 0:
                    kept.append(rest[index])
                index += 1
            yield start[1], start[2], re.findall(r"(?<!\S)--([a-z0-9-]+)", "".join(kept))

    def fault(self, service, operation, options):
        if (service, operation) in CUSTOM:
            return sorted(set(options) - CUSTOM[service, operation] - EVERYWHERE)
        try:
            model = botocore.session.get_session().get_service_model(RENAMED.get(service, service))
        except Exception as error:  # noqa: BLE001
            return str(error)
        names = {xform_name(name, "-"): name for name in model.operation_names}
        if operation not in names:
            return f"{service} has no {operation}"
        shape = model.operation_model(names[operation]).input_shape
        members = {xform_name(name, "-"): member for name, member in shape.members.items()} if shape else {}
        known = set(members) | EVERYWHERE | {f"no-{name}" for name, member in members.items() if member.type_name == "boolean"}
        return sorted(set(options) - known)

    def test_aws_has_them(self):
        seen = 0
        for path in sorted((ROOT / "docs").glob("*.md")):
            text = path.read_text(encoding="utf-8")
            for block in [*blocks(text), *re.findall(r"`(aws [^`]+)`", text)]:
                for service, operation, options in self.commands(block):
                    seen += 1
                    with self.subTest(path.name, command=f"aws {service} {operation}"):
                        self.assertFalse(self.fault(service, operation, options))
        self.assertGreater(seen, 35)

    def test_one_that_it_has_not_is_noticed(self):
        for wrong in ("aws logs start-querry --limit 1", "aws logs start-query --log-group 1", "aws nosuch list", 'x "$(aws kms describe-key --key)" y'):
            self.assertTrue([fault for command in self.commands(wrong) if (fault := self.fault(*command))], wrong)


if __name__ == "__main__":
    unittest.main()
