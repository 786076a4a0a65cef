"""Which events an EventBridge pattern matches, by moto's implementation: standard input has {"pattern", "events"}.

Runs in the environment that has moto, which is another than the templates' tests have.
"""

import json
import sys

from moto.events.models import EventPattern, EventPatternParser

asked = json.load(sys.stdin)
pattern = EventPattern(None, EventPatternParser(json.dumps(asked["pattern"])).parse())
print(json.dumps([pattern.matches_event(event) for event in asked["events"]]))
