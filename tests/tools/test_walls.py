"""The checks of the dependency tree must be able to fail, and the release profile must say what cargo-lambda would change."""

import pathlib
import subprocess
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


class ReleaseProfile(unittest.TestCase):
    def test_it_says_what_cargo_lambda_would_otherwise_choose(self):
        # cargo lambda build --release sets panic="abort", lto="thin", codegen-units=1 and strip="symbols" wherever Cargo.toml
        # is silent. An abort would take the answer and the audit record of a request with it.
        release = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]["release"]
        self.assertEqual(release.get("panic"), "unwind", "profile.release.panic must be written out")
        self.assertLessEqual({"lto", "codegen-units", "strip"}, set(release))


if __name__ == "__main__":
    unittest.main()
