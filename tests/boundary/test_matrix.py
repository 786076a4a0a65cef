"""Who may do what, from where: by the policies of the templates, and by nothing else."""

import unittest

import cases
import checks
import mutations
import world


class Matrix(unittest.TestCase):
    maxDiff = None

    def test_every_case(self):
        rows = cases.decide(cases.CASES)
        print(f"\n{len(rows)} cases:")
        print(cases.table(rows), flush=True)
        self.assertGreaterEqual(len(rows), 60)
        self.assertEqual([], [f"{case}: {decision}" for case, decision, well in rows if not well])

    def test_no_case_stands_there_twice(self):
        seen = [(str(case), case.on, case.scp, case.who.label) for case in cases.CASES]
        self.assertEqual([], [one for one in seen if seen.count(one) > 1])

    def test_each_group_has_both_answers(self):
        for group in {case.group for case in cases.CASES}:
            answers = {case.expect for case in cases.CASES if case.group == group}
            self.assertEqual(answers, {cases.ALLOWED, cases.REFUSED}, group)


class Checks(unittest.TestCase):
    def test_nothing_is_wrong(self):
        for method in ("endpoint", "vpc", "address"):
            with self.subTest(method):
                self.assertEqual([], checks.findings(world.deployed(method)))


class Mutations(unittest.TestCase):
    def test_every_mutation_is_noticed(self):
        print()
        missed = []
        for what, notice in mutations.run():
            print(f"  {mutations.line(what, notice)}", flush=True)
            if not notice:
                missed.append(what)
        print(f"{len(mutations.MUTATIONS)} mutations, {len(missed)} missed", flush=True)
        self.assertGreaterEqual(len(mutations.MUTATIONS), 15)
        self.assertEqual([], missed)

    def test_the_templates_as_they_are_are_not_noticed(self):
        """What notices a mutation would be worth nothing if it noticed everything."""
        self.assertEqual([], mutations.noticed_by(lambda templates: None))


if __name__ == "__main__":
    unittest.main()
