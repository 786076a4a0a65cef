"""What the shipped functions cost, against what was recorded (budget.json): a slow dependency does not slip in.

`tests/bench/run budget` runs it. Instructions and bytes, no times: those depend on what else the machine does.
"""

import importlib.machinery
import importlib.util
import json
import pathlib
import platform
import unittest

import measure

PATH = str(pathlib.Path(__file__).with_name("run"))
loader = importlib.machinery.SourceFileLoader("latchkey_bench_run", PATH)
run = importlib.util.module_from_spec(importlib.util.spec_from_loader("latchkey_bench_run", loader))
loader.exec_module(run)

RECORD = "If that is what it is to cost: `make budget RECORD=1` records it, and the commit says why."
RECORDED = json.loads(run.BUDGET.read_text()) if run.BUDGET.exists() else {}


def takes(*tools):
    """Skips where these tools cannot be had (tests/tools/install gets them as root on Debian)."""
    missing = [tool for tool in run.missing_tools() if tool in tools]
    return unittest.skipIf(missing, f"{' and '.join(missing)} cannot be had")


class Budget(unittest.TestCase):
    maxDiff = None

    def within(self, figures, kind):
        for name, figure in figures.items():
            known = RECORDED.get(kind, {}).get(name)
            print(f"\n    {name:24} {figure:>12,}  {f'{figure / known - 1:+.1%} of {known:,}' if known else 'not recorded'}", end="")
        print(flush=True)
        problems = run.differences({kind: figures}, {kind: RECORDED.get(kind, {})})
        self.assertEqual(problems, [], RECORD)

    @unittest.skipUnless(platform.machine() == "x86_64", "the recorded figures are for x86_64")
    def test_size(self):
        self.within(run.sizes(), "bytes")

    @unittest.skipUnless(platform.machine() == "x86_64", "the recorded figures are for x86_64")
    @takes("valgrind")
    def test_instructions(self):
        self.within(run.budget_figures()["instructions"], "instructions")

    @takes("strace")
    def test_start(self):
        start = measure.start(measure.broker())
        print(f"\n    {'system calls':24} {start.system_calls:>12,}  at most 110", flush=True)
        self.assertEqual(run.start_problems(start), [])

    def test_the_reference_does_the_same_work(self):
        """Only `make bench` measures it; that it still works is seen here. Every run checks its calls."""
        with measure.running(measure.reference()) as function:
            function.launch(["user-0", "user-0", "user-1"])
