"""The shipped functions' bills of materials, and the functions themselves: as `make build` and `make sbom` have left them."""

import copy
import functools
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import tomllib
import unittest

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

ROOT = pathlib.Path(__file__).resolve().parents[2]
loader = importlib.machinery.SourceFileLoader("latchkey_sbom", str(ROOT / "deploy" / "sbom"))
sbom = importlib.util.module_from_spec(importlib.util.spec_from_loader("latchkey_sbom", loader))
loader.exec_module(sbom)

VALIDATOR, LICENCES = JsonStrictValidator(SchemaVersion.V1_6), get_spdx_licensing()
FUNCTIONS = ("broker", "jwks-refresher")
# Some that tests and the command line link, and no function may.
OF_TESTS = {"proptest", "insta", "rcgen", "tempfile", "dynoxide-rs", "axum", "clap", "latchkey", "latchkey-standin", "latchkey-tests"}


@functools.cache
def binary(function):
    return (sbom.LAMBDA / function / "bootstrap").read_bytes()


@functools.cache
def text(function):
    return (sbom.LAMBDA / function / "bootstrap.cdx.json").read_text()


@functools.cache
def seen(function):
    """Crates that the binary itself names: panics and log lines say where they come from."""
    return {crate.decode() for crate in re.findall(rb"/crates/([A-Za-z][\w-]{,63}-\d[\w.+-]{,63})/src/", binary(function))}


@functools.cache
def not_of_cargo(function):
    """What else is linked: its compiler signs the binary, and Zig is pinned."""
    rust = re.search(rb"rustc version ([\d.]+) ", binary(function))[1].decode()
    zig = re.search(r"^ziglang==(\S+)$", (ROOT / "tests/tools/requirements.txt").read_text(), re.MULTILINE)[1]
    return {("std", rust), ("ziglang", zig)}


def named(components):
    return {(component["name"], component["version"]) for component in components}


@functools.cache
def tree(function, target):
    """What cargo lists, read another way than deploy/sbom reads it."""
    command = ["cargo", "tree", "--locked", "-p", function, "-e", "normal,no-proc-macro", "--target", target, "--prefix", "none", "--no-dedupe", "-f", "{p}"]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {(line.split()[0], line.split()[1].removeprefix("v")) for line in said.splitlines()}


def invalid(bom):
    """What CycloneDX's own schema says against a document, if anything."""
    error = VALIDATOR.validate_str(json.dumps(bom))
    return error and error.data.message[:200]


def problems(function, bom):
    """Everything else about a document that is not as it has to be."""
    found = []
    main, components = bom["metadata"]["component"], bom["components"]
    if main["hashes"] != [{"alg": "SHA-256", "content": hashlib.sha256(binary(function)).hexdigest()}]:
        found.append("the hash of another binary")
    target = main["properties"][0]["value"]

    has, expected = named([main, *components]), tree(function, target) | not_of_cargo(function)
    found += [f"{name} {version} is missing" for name, version in sorted(expected - has)]
    found += [f"{name} {version} is not linked" for name, version in sorted(has - expected)]
    found += [f"{component['name']} is listed twice" for component in components if components.count(component) > 1]
    # A second witness, which knows nothing of cargo.
    found += [f"{crate} is in the binary" for crate in sorted(seen(function) - {f"{name}-{version}" for name, version in has})]

    lock = {(package["name"], package["version"]): package for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    for component in components:
        name, version = component["name"], component["version"]
        checksum = lock.get((name, version), {}).get("checksum")
        if component.get("hashes", []) != ([{"alg": "SHA-256", "content": checksum}] if checksum else []):
            found.append(f"{name}: another checksum than in Cargo.lock")
        if checksum and component.get("purl") != f"pkg:cargo/{name}@{version}":
            found.append(f"{name}: purl")
        if (name, version) in lock and not checksum and "purl" in component:
            found.append(f"{name}: ours, with somebody else's purl")
    for component in [main, *components]:
        for licence in component.get("licenses", [{"expression": ""}]):
            if not licence["expression"] or LICENCES.validate(licence["expression"]).errors:
                found.append(f"{component['name']}: no licence of SPDX's")

    known = {component["bom-ref"] for component in [main, *components, *(part for component in components for part in component.get("components", []))]}
    edges = {entry["ref"]: set(entry["dependsOn"]) for entry in bom["dependencies"]}
    reached, to_see = set(), [main["bom-ref"]]
    while to_see:
        ref = to_see.pop()
        if ref not in reached:
            reached.add(ref)
            to_see += edges.get(ref, ())
    found += [f"{ref}: nothing depends on it" for ref in sorted(known - reached)]
    found += [f"{ref}: depended on, and not there" for ref in sorted((reached | set(edges)) - known)]
    return found


class Bill(unittest.TestCase):
    def each(self):
        for function in FUNCTIONS:
            yield function, json.loads(text(function))

    def test_the_binary_names_enough_to_be_a_witness(self):
        for function, _ in self.each():
            self.assertGreater(len(seen(function)), 40)

    def test_it_is_valid(self):
        for _, bom in self.each():
            self.assertIsNone(invalid(bom))
            self.assertIsNotNone(invalid({**bom, "bomFormat": "another"}))

    def test_it_lists_what_is_linked_and_nothing_else(self):
        for function, bom in self.each():
            self.assertEqual(problems(function, bom), [])
            print(f"\n  {function}: {len(bom['components'])} components", end="")
        print()

    def test_nothing_of_the_tests_is_in_it(self):
        for _, bom in self.each():
            self.assertEqual({name for name, _ in named(bom["components"])} & OF_TESTS, set())

    def test_the_c_library_is_in_its_crate(self):
        for _, bom in self.each():
            [crate] = [component for component in bom["components"] if component["name"] == "aws-lc-sys"]
            [part] = crate["components"]
            self.assertEqual(part["name"], "AWS-LC")
            self.assertRegex(part["version"], r"^\d+\.\d+\.\d+$")

    def test_the_processor_is_the_binarys(self):
        for machine, target in ((0x3E, "x86_64-unknown-linux-gnu"), (0xB7, "aarch64-unknown-linux-gnu")):
            head = b"\x7fELF" + bytes(14) + bytes([machine, 0])
            bom = sbom.document("broker", head)
            self.assertEqual(bom["metadata"]["component"]["properties"][0]["value"], target)
            crates = {crate for crate in named([bom["metadata"]["component"], *bom["components"]]) if crate[0] not in ("std", "ziglang")}
            self.assertEqual(crates, tree("broker", target))
        with self.assertRaises(SystemExit):
            sbom.document("broker", b"#!/bin/sh\n")

    def test_it_is_the_same_again_and_says_nothing_of_this_machine(self):
        for function, bom in self.each():
            self.assertEqual(sbom.document(function, binary(function)), bom, "made of another commit?")
            for place in places():
                self.assertNotIn(place, text(function))

    def test_whatever_is_wrong_is_noticed(self):
        good = json.loads(text("broker"))

        def changed(change):
            bom = copy.deepcopy(good)
            change(bom)
            return problems("broker", bom)

        def component(bom, name):
            [found] = [component for component in bom["components"] if component["name"] == name]
            return found

        rustls = component(good, "rustls")
        proptest = {"type": "library", "bom-ref": "pkg:cargo/proptest@1.12.0", "name": "proptest", "version": "1.12.0", "purl": "pkg:cargo/proptest@1.12.0"}
        for said, change in {
            "the hash of another binary": lambda bom: bom["metadata"]["component"]["hashes"][0].update(content="0" * 64),
            f"rustls {rustls['version']} is missing": lambda bom: bom["components"].remove(rustls),
            f"rustls-{rustls['version']} is in the binary": lambda bom: bom["components"].remove(rustls),
            "rustls 0.1.0 is not linked": lambda bom: component(bom, "rustls").update(version="0.1.0"),
            "proptest 1.12.0 is not linked": lambda bom: bom["components"].append(proptest),
            "rustls is listed twice": lambda bom: bom["components"].append(rustls),
            "rustls: another checksum": lambda bom: component(bom, "rustls")["hashes"][0].update(content="0" * 64),
            "rustls: purl": lambda bom: component(bom, "rustls").pop("purl"),
            "latchkey-oidc: ours": lambda bom: component(bom, "latchkey-oidc").update(purl="pkg:cargo/latchkey-oidc@0.1.0"),
            "rustls: no licence": lambda bom: component(bom, "rustls")["licenses"][0].update(expression="Whatever"),
            "nothing depends on it": lambda bom: [entry.update(dependsOn=[]) for entry in bom["dependencies"]],
            "and not there": lambda bom: bom["dependencies"][0]["dependsOn"].append("pkg:cargo/nothing@1.0.0"),
        }.items():
            with self.subTest(said):
                found = changed(change)
                self.assertTrue([problem for problem in found if said in problem], found)


def places():
    """Folders of this machine, as they would stand in a binary."""
    folders = [ROOT, pathlib.Path.home(), sbom.LAMBDA.parent, *(os.environ.get(name) for name in ("CARGO_HOME", "RUSTUP_HOME", "LATCHKEY_TOOLS"))]
    return sorted({f"{folder}/" for folder in folders if folder and len(pathlib.Path(folder).parts) > 1})


class Binary(unittest.TestCase):
    def test_nothing_of_this_machine_is_in_it(self):
        for function in FUNCTIONS:
            # Not assertNotIn, which would print the whole of it.
            there = [place for place in places() if place.encode() in binary(function)]
            self.assertEqual(there, [], f"{function}: built without deploy/reproducibly?")
            self.assertEqual(re.findall(rb"[\w/.-]+/registry/src/", binary(function)), [])
            # What stands there instead. Without it, there would have been nothing to look for.
            for place in (b"/crates/rustls-", b"/rustc/", b"/aws-lc/crypto/"):
                self.assertTrue(place in binary(function), place)


if __name__ == "__main__":
    unittest.main()
