"""Which events an EventBridge pattern matches, by moto's implementation: standard input has {"pattern", "events"}.

Runs in the environment that has moto, which is another than the templates' tests have.
"""

import itertools
import json
import sys

from moto.events.models import EventPattern, EventPatternParser


def unrolled(value):
    """EventBridge matches an array of objects when one of its objects matches. moto knows arrays of plain values only."""
    if isinstance(value, dict):
        for parts in itertools.product(*(list(unrolled(part)) for part in value.values())):
            yield dict(zip(value, parts, strict=True))
    elif isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        for part in value:
            yield from unrolled(part)
    else:
        yield value


asked = json.load(sys.stdin)
pattern = EventPattern(None, EventPatternParser(json.dumps(asked["pattern"])).parse())
print(json.dumps([any(map(pattern.matches_event, unrolled(event))) for event in asked["events"]]))
