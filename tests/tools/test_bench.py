"""The budget's own arithmetic: one that lets everything through would be no budget."""

import importlib.machinery
import importlib.util
import json
import pathlib
import unittest

PATH = pathlib.Path(__file__).resolve().parents[1] / "bench" / "run"
loader = importlib.machinery.SourceFileLoader("latchkey_bench_run", str(PATH))
run = importlib.util.module_from_spec(importlib.util.spec_from_loader("latchkey_bench_run", loader))
loader.exec_module(run)


class Start:
    def __init__(self, system_calls=98, threads=0, files=()):
        self.system_calls, self.threads, self.files = system_calls, threads, list(files)


class Budget(unittest.TestCase):
    RECORDED = {"instructions": {"init": 1_000_000}, "bytes": {"broker": 8_000_000}}

    def differences(self, init=1_000_000, size=8_000_000, **more):
        return run.differences({"instructions": {"init": init, **more}, "bytes": {"broker": size}}, self.RECORDED)

    def test_what_is_within_it(self):
        self.assertEqual(self.differences(), [])
        self.assertEqual(self.differences(init=1_050_000, size=8_400_000), [])
        self.assertEqual(self.differences(init=900_000), [])

    def test_what_is_over_it(self):
        self.assertEqual(self.differences(init=1_050_001), ["instructions, init: 1,050,001 is +5.0% against the recorded 1,000,000"])
        self.assertEqual(self.differences(size=9_000_000), ["bytes, broker: 9,000,000 is +12.5% against the recorded 8,000,000"])

    def test_what_is_so_far_below_that_the_budget_is_none(self):
        self.assertEqual(self.differences(init=899_999), ["instructions, init: 899,999 is -10.0% against the recorded 1,000,000"])

    def test_a_figure_that_only_one_side_knows(self):
        self.assertEqual(self.differences(warm=1), ["instructions, warm: not recorded"])
        self.assertEqual(run.differences({"bytes": {"broker": 8_000_000}}, self.RECORDED), ["instructions, init: not measured"])

    def test_what_a_start_must_not_do(self):
        self.assertEqual(run.start_problems(Start()), [])
        problems = run.start_problems(Start(111, 1, ["/etc/ssl/certs/ca-certificates.crt"]))
        self.assertEqual(len(problems), 3)

    def test_the_record_is_whole(self):
        recorded = json.loads(run.BUDGET.read_text())
        self.assertEqual(set(recorded["bytes"]), set(run.shipped()))
        self.assertEqual(len(recorded["instructions"]), 4)


if __name__ == "__main__":
    unittest.main()
