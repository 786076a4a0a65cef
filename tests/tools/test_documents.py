"""Tables that scripts put into docs/."""

import pathlib
import tempfile
import unittest

import documents


class Put(unittest.TestCase):
    def test_a_table_is_put_in_its_place(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "page.md"
            path.write_text("before\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter\n")
            documents.put(path, {"a": ["new"]})
            self.assertEqual(path.read_text(), "before\n<!-- a: begin -->\nnew\n<!-- a: end -->\nafter\n")

    def test_without_a_place_nothing_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "page.md"
            for text in ("", "<!-- a: begin -->\n", "<!-- a: end -->\n"):
                path.write_text(text)
                with self.assertRaises(SystemExit):
                    documents.put(path, {"a": ["new"]})
                self.assertEqual(path.read_text(), text)


if __name__ == "__main__":
    unittest.main()
