"""template.yaml as SAM sees it, and the function as SAM builds it."""

import re
import unittest

import support

# Amazon Linux 2023, which is what `provided.al2023` runs on, has this one.
GLIBC = (2, 34)


class Build(unittest.TestCase):
    def test_the_template_is_valid(self):
        said = support.sam("validate", "--lint", "--template", support.TEMPLATE)
        self.assertEqual(said.returncode, 0, f"{said.stdout}\n{said.stderr}")
        print("\n  sam validate --lint: nothing to say")

    def test_sam_builds_what_make_builds(self):
        # SAM calls `cargo lambda build --release --bin broker` where CodeUri says. In the function's own folder that selects the
        # one package, as `make build` does. At the root it would select all default members, and the function would be compiled
        # with what the stand-ins and the tests need of the SDK: another program, after ten minutes.
        lock = support.sha256(support.ROOT / "Cargo.lock")
        digests, folder = support.built()
        for function, digest in digests.items():
            self.assertEqual([path.name for path in (folder / function).iterdir()], ["bootstrap"])
            self.assertEqual(support.sha256(folder / function / "bootstrap"), digest, f"{function}: another program than `make build` makes")
            print(f"\n  sam build: {function} {digest[:16]}…, the same as of make build", end="")
        # SAM does not pass on --locked.
        self.assertEqual(support.sha256(support.ROOT / "Cargo.lock"), lock)
        print()

    def test_the_function_wants_no_newer_library_than_lambda_has(self):
        # The image here has this machine's libraries; AWS's has older ones.
        _, folder = support.built()
        wanted = re.findall(rb"GLIBC_(\d+)\.(\d+)", (folder / support.FUNCTION / "bootstrap").read_bytes())
        self.assertTrue(wanted, "a program that is linked another way: nothing was shown")
        newest = max((int(major), int(minor)) for major, minor in wanted)
        self.assertLessEqual(newest, GLIBC)
        print(f"\n  the function wants glibc {newest[0]}.{newest[1]} or later; Lambda has {GLIBC[0]}.{GLIBC[1]}")


if __name__ == "__main__":
    unittest.main()
