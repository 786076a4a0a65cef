"""What watches over a deployment, beside the documents: alarms and docs/runbook.md, saved queries and docs/audit.md, the dashboard."""

import json
import re
import sys
import unittest

import cloudformation
import world
from cloudformation import ACCOUNT, ROOT, Stack

sys.path.append(str(ROOT / "tests" / "tools"))

import audit_samples  # noqa: E402
import insights  # noqa: E402
from test_audit_insights import queries  # noqa: E402

ISSUING = f"arn:aws:iam::{ACCOUNT}:role/latchkey-issuing"


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def guardrails(**more):
    return Stack(cloudformation.load("guardrails"), {"IssuingRoleArns": ISSUING} | more)


def section(text, heading):
    """What stands under a heading, up to the next one that is no deeper."""
    depth = len(heading) - len(heading.lstrip("#"))
    _, _, rest = text.partition(f"\n{heading}\n")
    kept, in_block = [], False
    for line in rest.splitlines(keepends=True):
        in_block ^= line.startswith("```")
        if not in_block and re.match(rf"#{{1,{depth}}} ", line):
            break
        kept.append(line)
    return "".join(kept)


def headings(text, depth):
    return re.findall(rf"^{'#' * depth} (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)


class Runbook(unittest.TestCase):
    TEXT = read("docs/runbook.md")

    def alarms(self):
        stack = world.deployed().broker
        return {alarm["AlarmName"].removeprefix("latchkey-"): alarm for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()}

    def rules(self):
        return {rule["Name"].removeprefix("latchkey-"): rule for rule in guardrails().of_type("AWS::Events::Rule").values()}

    def test_each_alarm_has_its_section(self):
        """And each section an alarm."""
        self.assertGreaterEqual(len(self.alarms()), 8)
        self.assertEqual(sorted(headings(section(self.TEXT, "## Alarms"), 3)), sorted(self.alarms()))
        config = [heading for heading in headings(section(self.TEXT, "## Notices"), 3) if not heading.startswith("A rule of AWS Config")]
        self.assertEqual(sorted(config), sorted(self.rules()))
        for template in ("network", "workload", "organization"):
            kinds = {resource["Type"] for resource in cloudformation.load(template)["Resources"].values()}
            self.assertFalse(kinds & {"AWS::CloudWatch::Alarm", "AWS::Events::Rule", "AWS::Config::ConfigRule"}, template)

    def test_each_section_says_what_to_do(self):
        sections = {name: section(self.TEXT, f"### {name}") for name in [*self.alarms(), *self.rules()]}
        for name, text in sections.items():
            with self.subTest(name):
                self.assertRegex(text, r"\*\*(now|today|look)\*\*", "how bad it is")
                self.assertIn("```sh\n", text, "a command")
                if name in self.alarms():
                    self.assertIn(f"`latchkey-{name}`", text)

    def test_each_alarm_names_its_section(self):
        for name, alarm in self.alarms().items():
            self.assertTrue(alarm["AlarmDescription"].endswith(f" See docs/runbook.md#{name}."), alarm["AlarmDescription"])
        for name, rule in self.rules().items():
            (target,) = rule["Targets"]
            self.assertIn(f'"See docs/runbook.md#{name} of latchkey."', target["InputTransformer"]["InputTemplate"])
        # deploy.md lists them, each with its link.
        listed = re.findall(r"^\| \[`<name>-([a-z-]+)`\]\(runbook\.md#([a-z-]+)\) \|", section(read("docs/deploy.md"), "## Alarms"), re.MULTILINE)
        self.assertEqual(sorted(listed), sorted((name, name) for name in [*self.alarms(), *self.rules()]))

    def test_the_rules_of_config_are_named(self):
        text = section(self.TEXT, "### A rule of AWS Config is not compliant")
        rules = [rule["ConfigRuleName"] for rule in guardrails().of_type("AWS::Config::ConfigRule").values()]
        self.assertEqual(len(rules), 3)
        for rule in rules:
            self.assertIn(f"`{rule}`", text)

    def test_names_of_the_deployment_are_its_own(self):
        """Log groups, functions, the queue, the role, outputs and parameters that the commands and the text name."""
        stack, text = world.deployed().broker, self.TEXT
        groups = {group["LogGroupName"] for group in stack.of_type("AWS::Logs::LogGroup").values()}
        self.assertLessEqual(set(re.findall(r"(/aws/(?:lambda|apigateway)/[a-z-]+)", text)), groups)
        functions = {function["FunctionName"] for function in stack.of_type("AWS::Lambda::Function").values()}
        self.assertEqual(set(re.findall(r"--function-name (\S+)", text)), functions)
        self.assertEqual(set(re.findall(r"--queue-name (\S+?)[ )]", text)), {queue["QueueName"] for queue in stack.of_type("AWS::SQS::Queue").values()})
        self.assertLessEqual(set(re.findall(r"--role-name (\S+)", text)), {role.get("RoleName") for role in stack.of_type("AWS::IAM::Role").values()})
        self.assertLessEqual(set(re.findall(r"OutputKey=='(\w+)'", text)), set(stack.template["Outputs"]))
        known = {name for template in cloudformation.TEMPLATES for part in ("Parameters", "Resources") for name in cloudformation.load(template)[part]}
        named = set(re.findall(r"`([A-Z][A-Za-z]+(?:Alarm|Count|Milliseconds|Concurrency|Size|Arn|Ids|Arns|Policy|Role))`", text))
        self.assertGreater(len(named), 5)
        self.assertLessEqual(named, known)


class SavedQueries(unittest.TestCase):
    def saved(self, stack):
        return {query["Name"]: query for query in stack.of_type("AWS::Logs::QueryDefinition").values()}

    def test_they_are_the_documents(self):
        broker, trail = self.saved(world.deployed().broker), self.saved(guardrails(TrailLogGroupName="aws-cloudtrail-logs"))
        written = {f"latchkey/{name}": text for name, text in queries().items() if name != "without-a-record"}
        self.assertEqual(set(broker) | set(trail), set(written))
        for name, query in (broker | trail).items():
            self.assertEqual(query["QueryString"], written[name].rstrip("\n"), name)
        for query in broker.values():
            self.assertEqual(query["LogGroupNames"], ["/aws/lambda/latchkey-broker"])
        for query in trail.values():
            self.assertEqual(query["LogGroupNames"], ["aws-cloudtrail-logs"])

    def test_without_a_trail_there_are_none_for_it(self):
        self.assertEqual(self.saved(guardrails()), {})

    def test_every_issuing_role_is_passed_over(self):
        other = "arn:aws:iam::444455556666:role/another-issuing"
        stack = guardrails(TrailLogGroupName="trail", IssuingRoleArns=f"{ISSUING},{other}")
        lines = audit_samples.lines(
            [
                *audit_samples.PRESIGNED,
                audit_samples.presigned("2026-11-20T20:10:00", "CreatePresignedDomainUrl", "ours", other, "okta.joe"),
                audit_samples.presigned("2026-11-20T20:11:00", "CreatePresignedDomainUrl", "not-ours", f"{other}-2", "okta.joe"),
            ]
        )
        rows = insights.run(self.saved(stack)["latchkey/urls-outside-the-broker"]["QueryString"], lines)
        found = [row["requestID"] for row in rows]
        self.assertIn("not-ours", found)
        self.assertNotIn("ours", found)

    def test_another_name_is_another_table(self):
        stack = guardrails(TrailLogGroupName="trail", Name="door")
        self.assertIn("/:table\\/door\"/", self.saved(stack)["door/who-changed-grants"]["QueryString"])


class Dashboard(unittest.TestCase):
    @property
    def widgets(self):
        return json.loads(world.deployed().broker.resources["Dashboard"]["Properties"]["DashboardBody"])["widgets"]

    def test_its_queries_find_something(self):
        found = 0
        for widget in self.widgets:
            if widget["type"] == "log":
                source, _, query = widget["properties"]["query"].partition(" | ")
                self.assertEqual(source, "SOURCE '/aws/lambda/latchkey-broker'")
                found += bool(insights.run(query, audit_samples.decisions()))
        self.assertEqual(found, 2)

    def test_it_shows_every_metric_of_ours(self):
        """Those of docs/audit.md, and no other."""
        text = json.dumps(self.widgets)
        documented = set(re.findall(r"`([A-Z][A-Za-z]+)`(?=[^|\n]*\|[^|\n]*(?:Count|Milliseconds|Seconds))", section(read("docs/audit.md"), "## Metrics")))
        self.assertGreater(len(documented), 12)
        # What a caller waits is shown as the gateway measures it.
        for metric in documented - {"Duration"}:
            self.assertRegex(text, rf'"{metric}"|MetricName=\\\\*"{metric}', metric)
        for widget in self.widgets:
            for metric in widget["properties"].get("metrics", []):
                if metric[0] == "latchkey":
                    self.assertIn(metric[1], documented)

    def test_nothing_lies_over_anything_else(self):
        taken = set()
        for widget in self.widgets:
            cells = {(x, y) for x in range(widget["x"], widget["x"] + widget["width"]) for y in range(widget["y"], widget["y"] + widget["height"])}
            self.assertFalse(cells & taken, widget["properties"]["title"])
            self.assertLessEqual(widget["x"] + widget["width"], 24)
            taken |= cells


if __name__ == "__main__":
    unittest.main()
