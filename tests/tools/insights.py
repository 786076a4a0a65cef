"""An interpreter for the part of CloudWatch Logs Insights' query language that docs/audit.md and the dashboard use.

CloudWatch has no engine that runs without it. This one is made after AWS's description ("CloudWatch Logs Insights language query
syntax", "Supported logs and discovered fields"), and strict: a command, function or operator that it does not know is an error, and
so is a field that none of the lines has. Where AWS does not say what happens, a query must not hang on it: each is run as if a missing
field were unlike a value (`!=`, `not in`, `not like`), and as if it were not, and the rows have to be the same; grouping or sorting by
a field that a row lacks is an error.
"""

import json
import re

# AWS: "CloudWatch Logs Insights can extract a maximum of 200 log event fields from a JSON log".
MOST_FIELDS = 200
MOST_ROWS = 10_000
SYSTEM = ("@timestamp", "@message", "@log", "@logStream", "@ingestionTime")


class QueryError(Exception):
    """What CloudWatch would refuse, or would leave open."""


TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"[^"\\\n]*"|'[^'\\\n]*')
      | (?P<number>\d+)(?![\w.@])
      | (?P<quoted>`[^`\n]+`)
      | (?P<word>[@A-Za-z_][\w.@]*)
      | (?P<operator>!=|<=|>=|[=<>()\[\],|*])
    )""",
    re.VERBOSE | re.ASCII,
)
REGEX = re.compile(r"\s*/((?:[^/\\\n]|\\.)+)/")
COMMANDS = ("fields", "filter", "stats", "sort", "limit")
FUNCTIONS = {"ispresent": (1, 1), "coalesce": (1, 99), "substr": (2, 3)}
AGGREGATES = ("count", "count_distinct", "earliest", "latest", "sortsFirst", "sortsLast")
KEYWORDS = {"and", "or", "not", "in", "like", "as", "by", "asc", "desc", *COMMANDS, *FUNCTIONS, *AGGREGATES}


class Parser:
    def __init__(self, text):
        # A comment is a line of its own.
        self.text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        self.at = 0

    def peek(self):
        match = TOKEN.match(self.text, self.at)
        if match:
            return match.lastgroup, match[match.lastgroup], match.end()
        if self.text[self.at :].strip():
            raise QueryError(f"not understood: {self.text[self.at :].strip()[:40]!r}")
        return "end", "", self.at

    def take(self, kind=None, value=None):
        found, text, end = self.peek()
        if (kind and found != kind) or (value and text != value):
            raise QueryError(f"{value or kind} expected, and not {text!r}")
        self.at = end
        return text

    def has(self, value):
        kind, text, end = self.peek()
        if text == value and kind in ("word", "operator"):
            self.at = end
            return True
        return False

    def query(self):
        commands = [self.command()]
        while self.has("|"):
            commands.append(self.command())
        self.take("end")
        return commands

    def list_of(self, one):
        items = [one()]
        while self.has(","):
            items.append(one())
        return items

    def command(self):
        name = self.take("word")
        if name not in COMMANDS:
            raise QueryError(f"there is no command {name}")
        if name == "fields":
            return name, self.list_of(self.named_value)
        if name == "filter":
            return name, self.condition()
        if name == "sort":
            return name, self.list_of(lambda: (self.name(), "desc" if self.has("desc") else (self.has("asc") or True) and "asc"))
        if name == "limit":
            number = int(self.take("number"))
            if not 1 <= number <= MOST_ROWS:
                raise QueryError(f"limit {number}")
            return name, number
        aggregates = self.list_of(self.aggregate)
        return name, (aggregates, self.list_of(self.name) if self.has("by") else [])

    def aggregate(self):
        function = self.take("word")
        if function not in AGGREGATES:
            raise QueryError(f"there is no aggregate {function}")
        self.take("operator", "(")
        argument = "*" if function == "count" and self.has("*") else self.name()
        self.take("operator", ")")
        # Without a name, a later command could not speak of it.
        self.take("word", "as")
        return function, argument, self.name()

    def named_value(self):
        value = self.value()
        if self.has("as"):
            return value, self.name()
        if value[0] != "field":
            raise QueryError("a value without a name")
        return value, value[1]

    def name(self):
        kind, text, _ = self.peek()
        if kind == "quoted":
            self.take()
            return text.strip("`")
        self.take("word")
        if text in KEYWORDS:
            raise QueryError(f"{text} is a word of the language")
        return text

    def value(self):
        kind, text, end = self.peek()
        if kind in ("string", "number"):
            self.at = end
            return "literal", text[1:-1] if kind == "string" else int(text)
        if kind == "word" and text in FUNCTIONS:
            self.at = end
            self.take("operator", "(")
            arguments = self.list_of(self.value)
            self.take("operator", ")")
            least, most = FUNCTIONS[text]
            if not least <= len(arguments) <= most:
                raise QueryError(f"{text} with {len(arguments)} arguments")
            if text in ("ispresent", "coalesce") and any(argument[0] != "field" for argument in arguments):
                raise QueryError(f"{text} takes log fields")
            return "call", text, arguments
        return "field", self.name()

    def condition(self):
        parts = [self.conjunction()]
        while self.has("or"):
            parts.append(self.conjunction())
        return ("or", parts) if len(parts) > 1 else parts[0]

    def conjunction(self):
        parts = [self.term()]
        while self.has("and"):
            parts.append(self.term())
        return ("and", parts) if len(parts) > 1 else parts[0]

    def term(self):
        if self.has("not"):
            return "not", self.term()
        if self.has("("):
            inner = self.condition()
            self.take("operator", ")")
            return inner
        left = self.value()
        if left[0] == "call" and left[1] == "ispresent":
            return left
        negated = self.has("not")
        if self.has("in"):
            self.take("operator", "[")
            test = "in", left, self.list_of(self.literal)
            self.take("operator", "]")
        elif self.has("like"):
            if match := REGEX.match(self.text, self.at):
                self.at = match.end()
                test = "like", left, re.compile(match[1].replace(r"\/", "/"))
            else:
                test = "like", left, re.compile(re.escape(self.take("string")[1:-1]))
        elif negated:
            raise QueryError("not before what is neither in nor like")
        else:
            operator = self.take("operator")
            if operator not in ("=", "!=", "<", "<=", ">", ">="):
                raise QueryError(f"{operator} compares nothing")
            if operator == "!=":
                return "not", ("compare", "=", left, self.value())
            return "compare", operator, left, self.value()
        return ("not", test) if negated else test

    def literal(self):
        kind, value = self.value()[:2]
        if kind != "literal":
            raise QueryError("a list of something else than literals")
        return value


def flatten(value, name=""):
    """AWS: nested members are named with dots, elements of a list by their number."""
    if isinstance(value, dict):
        for member, inner in value.items():
            yield from flatten(inner, f"{name}.{member}" if name else member)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from flatten(inner, f"{name}.{index}" if name else str(index))
    elif value is not None:
        yield name, value


def discover(timestamp, message):
    """A line as a row: its own fields, and those that are found in it."""
    row = {"@timestamp": timestamp, "@message": message}
    try:
        event = json.loads(message)
    except ValueError:
        return row
    if isinstance(event, dict):
        found = dict(flatten(event))
        if len(found) > MOST_FIELDS:
            raise QueryError(f"a line has {len(found)} fields, and CloudWatch finds {MOST_FIELDS}")
        row.update(found)
    return row


class Run:
    """One run over the lines. `missing` is whether a missing field is unlike a value."""

    def __init__(self, rows, missing):
        self.rows, self.missing = rows, missing
        self.known = {name for row in rows for name in row} | set(SYSTEM)

    def know(self, name):
        if name not in self.known:
            raise QueryError(f"no line has a field {name}")
        return name

    def names(self, node):
        """Every field that an expression names is looked at, whether or not a row gets there."""
        if isinstance(node, tuple) and node and node[0] == "field":
            self.know(node[1])
        elif isinstance(node, (tuple, list)):
            for inner in node:
                self.names(inner)

    def value(self, node, row):
        if node[0] == "literal":
            return node[1]
        if node[0] == "field":
            return row.get(node[1])
        arguments = [self.value(argument, row) for argument in node[2]]
        if node[1] == "ispresent":
            return arguments[0] is not None
        if node[1] == "coalesce":
            return next((value for value in arguments if value is not None), None)
        text, start, *length = arguments
        if not isinstance(text, str):
            raise QueryError("substr of what is no text")
        return text[start : start + length[0]] if length else text[start:]

    def holds(self, node, row, positive=True):
        """Whether a row meets a condition. `positive` is whether as many `not` stand around it as cancel out: a field that the row
        lacks is equal to nothing and like nothing, but whether it is therefore *unlike* something is what AWS does not say."""
        absent = False if positive else not self.missing
        match node:
            case ("or", parts):
                return any([self.holds(part, row, positive) for part in parts])
            case ("and", parts):
                return all([self.holds(part, row, positive) for part in parts])
            case ("not", inner):
                return not self.holds(inner, row, not positive)
            case ("call", "ispresent", _):
                return self.value(node, row)
            case ("in", left, values):
                value = self.value(left, row)
                return absent if value is None else value in values
            case ("like", left, pattern):
                value = self.value(left, row)
                return absent if value is None else bool(pattern.search(str(value)))
            case ("compare", operator, left, right):
                a, b = self.value(left, row), self.value(right, row)
                if a is None or b is None:
                    return absent
                if isinstance(a, str) is not isinstance(b, str):
                    raise QueryError(f"{a!r} {operator} {b!r} compares different types")
                return {"=": a == b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]
        raise QueryError(f"no condition: {node}")

    def stats(self, aggregates, keys):
        groups = {}
        for name in [*keys, *(argument for _, argument, _ in aggregates if argument != "*")]:
            self.know(name)
        for row in self.rows:
            if lacking := [name for name in keys if name not in row]:
                raise QueryError(f"grouped by {lacking}, which a row has not")
            groups.setdefault(tuple(row[name] for name in keys), []).append(row)
        rows = []
        for key, members in groups.items():
            row = dict(zip(keys, key, strict=True))
            for function, argument, name in aggregates:
                values = members if argument == "*" else [member[argument] for member in members if argument in member]
                if function == "count":
                    row[name] = len(values)
                elif function == "count_distinct":
                    row[name] = len(set(values))
                elif function in ("sortsFirst", "sortsLast"):
                    if values:
                        row[name] = (min if function == "sortsFirst" else max)(values)
                else:
                    end = (min if function == "earliest" else max)(member["@timestamp"] for member in members)
                    at_end = {member.get(argument) for member in members if member["@timestamp"] == end}
                    if len(at_end) > 1:
                        raise QueryError(f"{function}({argument}) of lines of the same moment")
                    if (value := at_end.pop()) is not None:
                        row[name] = value
            rows.append(row)
        self.rows = rows
        self.known = {*keys, *(name for _, _, name in aggregates)}

    def sort(self, by):
        for name, order in reversed(by):
            self.know(name)
            if any(name not in row for row in self.rows):
                raise QueryError(f"sorted by {name}, which a row has not")
            self.rows.sort(key=lambda row: row[name], reverse=order == "desc")

    def all(self, commands):
        shown, summed = [], False
        for command, argument in commands:
            if command == "fields":
                for value, name in argument:
                    self.names(value)
                    if value[0] != "field":
                        if name in self.known:
                            raise QueryError(f"{name} is a field already")
                        for row in self.rows:
                            if (result := self.value(value, row)) is not None:
                                row[name] = result
                        self.known.add(name)
                    elif name != value[1]:
                        for row in self.rows:
                            if value[1] in row:
                                row[name] = row[value[1]]
                        self.known.add(name)
                    shown.append(name)
            elif command == "filter":
                self.names(argument)
                self.rows = [row for row in self.rows if self.holds(argument, row)]
            elif command == "stats":
                if summed:
                    raise QueryError("more than one stats")
                self.stats(*argument)
                shown, summed = [], True
            elif command == "sort":
                self.sort(argument)
            else:
                self.rows = self.rows[:argument]
        if not summed:
            shown = shown or ["@timestamp", "@message"]
        return [{name: row[name] for name in (shown or row) if name in row} for row in self.rows]


def run(query, lines):
    """The rows that a query finds in lines, which are pairs of a time in milliseconds and a text."""
    commands = Parser(query).query()
    by_absence = [Run([discover(*line) for line in lines], missing).all(commands) for missing in (False, True)]
    if by_absence[0] != by_absence[1]:
        raise QueryError("the rows hang on whether a missing field is unlike a value")
    return by_absence[0]
