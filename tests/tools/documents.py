"""Tables in docs/ that scripts write, between marks that name them."""

import sys


def put(path, tables):
    """Puts tables (by name, each a list of lines) between the document's marks."""
    text = path.read_text()
    for name, lines in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not found_begin or not found_end:
            sys.exit(f"{path.name} has no place for the table {name}")
        text = before + begin + "\n".join(lines) + "\n" + end + after
    path.write_text(text)
