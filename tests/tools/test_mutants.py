"""tests/mutants/run: what of the outcomes is a fault, and that the record is of what is there."""

import importlib.machinery
import importlib.util
import json
import pathlib
import sys
import unittest

FILE = pathlib.Path(__file__).resolve().parents[1] / "mutants" / "run"


def module():
    loader = importlib.machinery.SourceFileLoader("mutants_run", str(FILE))
    loaded = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutants_run", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(loaded)
    return loaded


RUN = module()
ONE, TWO = "a.rs:1:2: replace > with == in f", "a.rs:3:4: replace > with == in f"
OTHER = "a.rs:5:6: replace g with ()"
KIND = "a.rs: replace > with == in f"
MUTANTS = [RUN.Mutant(name, RUN.kind_of(name), "a.rs") for name in (ONE, TWO, OTHER)]


class Faults(unittest.TestCase):
    def faults(self, outcomes, survivors, whole=True):
        return list(RUN.faults(outcomes, MUTANTS, survivors, whole))

    def test_a_survivor_has_to_be_listed_as_often_as_there_are(self):
        both = {ONE: "missed", TWO: "missed", OTHER: "caught"}
        self.assertEqual(self.faults(both, {KIND: {"count": 2, "because": "x"}}), [])
        for survivors in ({}, {KIND: {"count": 1, "because": "x"}}):
            self.assertEqual(len(self.faults(both, survivors)), 1, survivors)

    def test_what_is_listed_has_to_be_there_to_survive_and_to_have_a_reason(self):
        caught = {ONE: "caught", TWO: "timeout", OTHER: "unviable"}
        self.assertIn("is noticed", *self.faults(caught, {KIND: {"count": 1, "because": "x"}}))
        self.assertIn("is not there", *self.faults(caught, {"b.rs: x": {"count": 1, "because": "x"}}))
        self.assertIn("no reason", *self.faults({**caught, ONE: "missed"}, {KIND: {"count": 1, "because": " "}}))

    def test_of_what_was_not_tried_nothing_is_said(self):
        listed = {KIND: {"count": 1, "because": "x"}}
        self.assertEqual(self.faults({ONE: "caught"}, listed, whole=False), [])
        self.assertEqual(len(self.faults({ONE: "caught", TWO: "caught"}, listed, whole=False)), 1)


class Record(unittest.TestCase):
    def test_it_is_of_files_that_are_there_and_its_score_is_what_the_document_says(self):
        record = json.loads(RUN.RECORD.read_text())
        self.assertLessEqual(record.keys(), {file for _, patterns in RUN.GROUPS for file in RUN.files_of(patterns)})
        document = RUN.DOCUMENT.read_text()
        self.assertIn("\n".join(RUN.table(record)), document)
        scores = [float(line.split("|")[5].strip(" %")) for line in RUN.table(record)[2:]]
        self.assertEqual(len(scores), len(RUN.GROUPS))
        self.assertTrue(all(score >= 95 for score in scores), scores)

    def test_as_many_survivors_are_explained_as_were_recorded(self):
        missed = sum(entry["missed"] for entry in json.loads(RUN.RECORD.read_text()).values())
        self.assertEqual(sum(entry["count"] for entry in json.loads(RUN.SURVIVORS.read_text()).values()), missed)


if __name__ == "__main__":
    unittest.main()
