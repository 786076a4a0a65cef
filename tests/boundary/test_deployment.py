"""What the stand-in shows `latchkey doctor` is what the templates deploy."""

import unittest

import deployment


class Deployment(unittest.TestCase):
    def test_it_is_what_the_templates_deploy(self):
        written = deployment.FILE.read_text(encoding="utf-8")
        self.assertEqual(written, deployment.deployment(), "tests/boundary/deployment.py writes it anew")


if __name__ == "__main__":
    unittest.main()
