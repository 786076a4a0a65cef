"""docs/portal-integration.md beside openapi.yaml, and its code as far as nothing has to run: `cli/tests/portal_snippets.rs` runs it."""

import ast
import pathlib
import re
import subprocess
import sys
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/portal-integration.md").read_text(encoding="utf-8")
API = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
CODE = PAGE.split("\n## The code\n")[1]
LANGUAGES = {"curl": "sh", "Python": "python", "TypeScript": "ts", "Java": "java", "C#": "csharp"}
# What each says where it says nothing of its own.
OTHERWISE = "This did not work."


def snippet(heading):
    (section,) = re.findall(rf"^### {re.escape(heading)}\n(.*?)(?=^### |\Z)", CODE, re.DOTALL | re.MULTILINE)
    (block,) = re.findall(rf"^```{LANGUAGES[heading]}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return block


def table():
    rows = re.findall(r'^\| `([a-z-]+)` \| (\d{3}) \| "([^"]+)" \| (.+) \|$', PAGE, re.MULTILINE)
    return {code: (int(status), text, again) for code, status, text, again in rows}


def outside_quotes(source):
    """C# without its texts and comments."""
    return re.sub(r'//[^\n]*|\$?"(?:\\.|[^"\\])*"', "", source)


class Page(unittest.TestCase):
    def test_each_code_has_its_row(self):
        described = {}
        for response in API["components"]["responses"].values():
            for example in response["content"]["application/problem+json"]["examples"].values():
                described[example["value"]["code"]] = example["value"]["status"]
        self.assertEqual({code: status for code, (status, *_) in table().items()}, described)

    def test_each_language_says_what_the_table_says(self):
        own = {code: text for code, (_, text, _) in table().items() if text != OTHERWISE}
        self.assertEqual(len(own), 6)
        for heading in LANGUAGES:
            with self.subTest(heading):
                source = snippet(heading)
                for code, text in own.items():
                    (line,) = (line for line in source.splitlines() if text in line)
                    self.assertRegex(line, rf"""^ *\[?["']?{code}\b""")
                self.assertIn(OTHERWISE, source)

    def test_each_language_keeps_the_rules(self):
        """The ones that a run shows, too, are for those whose toolchain is nowhere."""
        rules = {
            "curl": ["--max-time 15", "--noproxy", "-H @-"],
            "Python": ["timeout=15", "http.client"],
            "TypeScript": ["AbortSignal.timeout(15_000)", "redirect: 'manual'"],
            "Java": ["timeout(Duration.ofSeconds(15))", "Redirect.NEVER", "NO_PROXY"],
            "C#": ["Timeout = TimeSpan.FromSeconds(15)", "AllowAutoRedirect = false", "UseProxy = false", "HttpMethod.Post", '"Bearer", token'],
        }
        for heading, wanted in rules.items():
            source = snippet(heading)
            spelt = source.lower().replace("_", "-")
            for rule in [*wanted, "Retry-After" if heading != "C#" else "RetryAfter", "application/json", "X-Request-Id", "Sec-Fetch-Site", "no-store", "no-referrer", "303"]:
                with self.subTest(heading, rule=rule):
                    self.assertIn(rule.lower().replace("_", "-"), spelt)

    def test_the_shell_is_sound(self):
        shellcheck = pathlib.Path(sys.executable).with_name("shellcheck")
        done = subprocess.run([shellcheck, "--color=never", "-"], input=snippet("curl"), capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_python_is_as_old_as_it_says(self):
        ast.parse(snippet("Python"), feature_version=(3, 9))

    def test_the_csharp_is_whole(self):
        source = snippet("C#")
        self.assertTrue(source.startswith("#:sdk Microsoft.NET.Sdk.Web\n"))
        left, pairs = [], {")": "(", "]": "[", "}": "{"}
        for character in outside_quotes(source):
            if character in "([{":
                left.append(character)
            elif character in pairs:
                self.assertEqual(left.pop() if left else None, pairs[character])
        self.assertEqual(left, [])
        # Statements first, then types, as a program of one file has to be.
        self.assertRegex(source.strip().splitlines()[-1], r"^record Launch\(.*\);$")
        (log,) = re.findall(r"var line = new JsonObject \{(.*)\};", source)
        self.assertEqual(re.findall(r'\["(\w+)"\]', log), ["event", "wish", "code", "request_id"])
        self.assertEqual(source.count("Console.Write"), 1)


if __name__ == "__main__":
    unittest.main()
