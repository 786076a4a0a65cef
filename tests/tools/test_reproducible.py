"""The comparison of two builds must be able to fail."""

import pathlib
import subprocess
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).with_name("reproducible")


class Reproducible(unittest.TestCase):
    def compared(self, **another):
        """Exit code and output of a comparison; the second folder has other bytes in the functions that are named."""
        with tempfile.TemporaryDirectory() as scratch:
            first, second = pathlib.Path(scratch) / "first", pathlib.Path(scratch) / "second"
            for function in ("broker", "jwks-refresher"):
                for folder in (first, second):
                    (folder / function).mkdir(parents=True)
                    (folder / function / "bootstrap").write_bytes(b"\x7fELF\0the same in both\0")
            for function, content in another.items():
                (second / function.replace("_", "-") / "bootstrap").write_bytes(content)
            result = subprocess.run([COMPARE, first, second], capture_output=True, text=True)
            return result.returncode, result.stdout

    def test_the_same_twice(self):
        code, said = self.compared()
        self.assertEqual(code, 0, said)
        self.assertIn("twice the same", said)

    def test_one_byte_of_one_function(self):
        code, said = self.compared(jwks_refresher=b"\x7fELF\0the same in both\0\0")
        self.assertEqual(code, 1)
        self.assertIn("jwks-refresher differs", said)
        self.assertNotIn("broker differs", said)

    def test_a_function_that_is_not_there(self):
        with tempfile.TemporaryDirectory() as empty:
            result = subprocess.run([COMPARE, empty, empty], capture_output=True, text=True)
            self.assertNotEqual(result.returncode, 0)


if __name__ == "__main__":
    unittest.main()
