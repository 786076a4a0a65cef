"""The comparison of two builds must be able to fail, and a build must be told of every folder that crates lie in."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).with_name("reproducible")
REPRODUCIBLY = COMPARE.parents[2] / "deploy" / "reproducibly"


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


class Reproducibly(unittest.TestCase):
    OF_RUST = "--remap-path-prefix=/rust/lib/rustlib/src/rust=/rustc/abc"

    def flags(self, *manifests, sysroot="/rust", **more):
        """What a command sees of the flags when cargo has crates there; and what was said, if it was not run."""
        packages = [{"manifest_path": manifest, "source": "registry+x"} for manifest in manifests]
        packages.append({"manifest_path": "/here/shared/api/Cargo.toml", "source": None})
        with tempfile.TemporaryDirectory() as scratch:
            for name, said in (("cargo", json.dumps({"packages": packages})), ("rustc", f"{sysroot}\ncommit-hash: abc")):
                path = pathlib.Path(scratch) / name
                path.write_text(f"#!/bin/sh\ncat <<'END' | if [ $2 = sysroot ]; then sed 1q; else cat; fi\n{said}\nEND\n")
                path.chmod(0o755)
            env = {"PATH": f"{scratch}:{os.environ['PATH']}", "LATCHKEY_TOOLS": scratch, **more}
            said = subprocess.run([REPRODUCIBLY, "sh", "-c", 'echo "$RUSTFLAGS/$CARGO_BUILD_RUSTFLAGS"'], env=env, capture_output=True, text=True)
        return said.stdout.strip() if said.returncode == 0 else said.stderr

    def test_every_folder_has_the_one_name(self):
        flags = self.flags("/a/one/tokio-1.0.0/Cargo.toml", "/a/one/bytes-1.0.0/Cargo.toml", "/a/two/http-1.0.0/Cargo.toml")
        self.assertEqual(flags, f"/--remap-path-prefix=/a/one=/crates --remap-path-prefix=/a/two=/crates {self.OF_RUST}")

    def test_other_flags_stay_but_those_that_take_the_place_of_all(self):
        flags = self.flags("/a/one/tokio-1.0.0/Cargo.toml", RUSTFLAGS="-D warnings", CARGO_BUILD_RUSTFLAGS="-C x")
        self.assertEqual(flags, f"/-C x --remap-path-prefix=/a/one=/crates {self.OF_RUST}")

    def test_a_folder_that_cannot_be_said(self):
        self.assertIn("a blank or = in '/a/my crates'", self.flags("/a/my crates/tokio-1.0.0/Cargo.toml"))
        self.assertIn("a blank or = in '/my rust/lib", self.flags("/a/one/tokio-1.0.0/Cargo.toml", sysroot="/my rust"))


if __name__ == "__main__":
    unittest.main()
