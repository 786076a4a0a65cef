"""The checks of the dependency tree must be able to fail, and the release profile must say what cargo-lambda would change."""

import pathlib
import re
import subprocess
import tempfile
import tomllib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Walls(unittest.TestCase):
    def test_a_forbidden_crate_in_the_tree_is_found(self):
        # The command line links what the broker must not: the credentials chain, the embedded engine.
        result = subprocess.run([ROOT / "tests/tools/check_broker_tree", "latchkey"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1, result.stderr)
        for crate in ("aws-config", "latchkey-standin", "dynoxide-rs"):
            self.assertIn(f"links {crate}:", result.stdout)

    def test_a_package_that_is_not_there_is_no_success(self):
        result = subprocess.run([ROOT / "tests/tools/check_broker_tree", "no-such-package"], capture_output=True, text=True)
        self.assertNotEqual(result.returncode, 0)

    def test_a_crate_more_than_the_document_states_is_found(self):
        stated = (ROOT / "docs/reliability.md").read_text()
        [row] = re.findall(r"^\| `broker` \| \d+ \|.*$", stated, re.MULTILINE)
        crates, others = row.split(" | ")[1], row.split(" | ")[4]
        fewer = row.replace(f" {crates} ", f" {int(crates) - 1} ").replace(f" {others} ", f" {int(others) - 1} ")
        for text, said in ((stated.replace(row, fewer), row), (stated.replace(row, ""), "does not state how many crates")):
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(text)
                file.flush()
                result = subprocess.run([ROOT / "tests/tools/check_broker_tree", "--stated", file.name, "broker"], capture_output=True, text=True)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(said, result.stdout)


class ReleaseProfile(unittest.TestCase):
    def test_it_says_what_cargo_lambda_would_otherwise_choose(self):
        # cargo lambda build --release sets panic="abort", lto="thin", codegen-units=1 and strip="symbols" wherever Cargo.toml
        # is silent. An abort would take the answer and the audit record of a request with it.
        release = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]["release"]
        self.assertEqual(release.get("panic"), "unwind", "profile.release.panic must be written out")
        self.assertLessEqual({"lto", "codegen-units", "strip"}, set(release))


if __name__ == "__main__":
    unittest.main()
