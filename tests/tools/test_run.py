"""The test command's own arithmetic: a sum that is wrong would hide what it is for."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import sys
import unittest

PATH = str(pathlib.Path(__file__).resolve().parents[1] / "run")
loader = importlib.machinery.SourceFileLoader("latchkey_run", PATH)
run = importlib.util.module_from_spec(importlib.util.spec_from_loader("latchkey_run", loader))
loader.exec_module(run)


def counted(text):
    counts = run.Counts()
    for line in text.splitlines():
        counts.read(line)
    return (counts.passed, counts.failed, counts.skipped), counts.notes


class Summaries(unittest.TestCase):
    def test_cargo(self):
        text = """
running 3 tests
test a ... ok
test b ... ignored, needs a daemon
test c ... FAILED
test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s
test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
"""
        self.assertEqual(counted(text), ((8, 1, 1), ["b: needs a daemon"]))

    def test_unittest(self):
        self.assertEqual(counted("Ran 31 tests in 3.6s\n\nOK")[0], (31, 0, 0))
        self.assertEqual(counted("Ran 1 test in 0.1s\n\nOK")[0], (1, 0, 0))
        self.assertEqual(counted("Ran 9 tests in 1s\n\nFAILED (failures=1, errors=2, skipped=3)")[0], (3, 3, 3))
        self.assertEqual(counted("Ran 2 tests in 1s\n\nFAILED (unexpected successes=1)")[0], (1, 1, 0))
        skipped = "test_x (test_y.Z.test_x) ... skipped 'no daemon'\nRan 1 test in 0s\n\nOK (skipped=1)"
        self.assertEqual(counted(skipped), ((0, 0, 1), ["test_x (test_y.Z.test_x): 'no daemon'"]))
        # A line of a test's own is no summary.
        self.assertEqual(counted("OK")[0], (0, 0, 0))

    def test_node(self):
        self.assertEqual(counted("ℹ tests 6\nℹ pass 3\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0")[0], (3, 2, 1))
        self.assertEqual(counted("# pass 2\n# fail 0\n# skipped 0")[0], (2, 0, 0))


class Runs(unittest.TestCase):
    def outcome(self, *stages, names=()):
        """Exit code and last line of a run over these stages: (name, Python code, tests, needs)."""
        made = [run.Stage(name, name, [[sys.executable, "-c", code]], tests, needs) for name, code, tests, needs in stages]
        original, run.stages = run.stages, lambda: made
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                code = run.main(list(names))
        finally:
            run.stages = original
        self.output = out.getvalue()
        return code, self.output.rstrip().splitlines()[-1]

    OK = "print('test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured')"
    BAD = "print('test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured'); exit(101)"

    def test_the_sum_and_the_exit_code(self):
        self.assertEqual(self.outcome(("a", self.OK, True, ()), ("b", self.OK, True, ())), (0, "4 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.outcome(("a", self.BAD, True, ()), ("b", self.OK, True, ())), (1, "3 passed, 2 failed, 0 skipped"))

    def test_a_stage_without_tests_counts_when_it_fails(self):
        self.assertEqual(self.outcome(("lint", "", False, ())), (0, "0 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.outcome(("lint", "exit(1)", False, ()), ("a", self.OK, True, ())), (1, "2 passed, 1 failed, 0 skipped"))

    def test_tests_that_pass_in_a_runner_that_fails(self):
        self.assertEqual(self.outcome(("a", self.OK + "; exit(1)", True, ())), (1, "2 passed, 1 failed, 0 skipped"))

    def test_a_failure_that_the_exit_code_does_not_tell(self):
        code, last = self.outcome(("a", self.BAD.replace("exit(101)", "exit(0)"), True, ()))
        self.assertEqual((code, last), (1, "1 passed, 2 failed, 0 skipped"))

    def test_no_test_is_a_failure(self):
        self.assertEqual(self.outcome(("a", "", True, ())), (1, "0 passed, 1 failed, 0 skipped"))

    def test_what_needs_a_failed_stage_is_not_run(self):
        code, last = self.outcome(("tools", "exit(1)", False, ()), ("a", self.OK, True, ("tools",)))
        self.assertEqual((code, last), (1, "0 passed, 2 failed, 0 skipped"))
        self.assertIn("not run, because tools failed", self.output)

    def test_a_test_that_skips_itself_says_why(self):
        skip = "import os; open(os.environ['LATCHKEY_SKIPS'], 'a').write('sam: no container engine\\n'); " + self.OK
        self.assertEqual(self.outcome(("a", skip, True, ())), (0, "1 passed, 0 failed, 1 skipped"))
        self.assertIn("a: sam: no container engine", self.output)

    def test_a_program_that_is_not_there(self):
        made = [run.Stage("a", "a", [["/nonexistent/program"]])]
        original, run.stages = run.stages, lambda: made
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(run.main([]), 1)
        finally:
            run.stages = original

    def test_some_stages_alone(self):
        code, last = self.outcome(("a", self.BAD, True, ()), ("b", self.OK, True, ()), names=["b"])
        self.assertEqual((code, last), (0, "2 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.outcome(("a", self.OK, True, ()), names=["c"])[0], 2)

    def test_nothing_of_an_account_reaches_a_test(self):
        leak = "import os; exit('AWS_PROFILE' in os.environ or os.environ['AWS_CONFIG_FILE'] != os.devnull)"
        os.environ["AWS_PROFILE"] = "production"
        self.addCleanup(os.environ.pop, "AWS_PROFILE", None)
        self.assertEqual(self.outcome(("a", leak, False, ()))[0], 0, self.output)


if __name__ == "__main__":
    unittest.main()
