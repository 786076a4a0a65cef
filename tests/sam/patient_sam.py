"""The SAM CLI, which waits for a function's log as long as it takes.

`sam local invoke` gives the log of a container one second to arrive after the answer, and then ends without it
(samcli/local/docker/container.py, `wait_for_result`). On a busy machine that is no time, and the record that a test looks for is in
what was left behind. Only that second is made longer; it is not waited for when the log is there.
"""

import sys
import threading

from samcli.cli.main import cli
from samcli.local.docker.container import Container

SECONDS = 60


class LogIsThere(threading.Event):
    def wait(self, timeout=None):
        return super().wait(SECONDS if timeout == 1 else timeout)


if __name__ == "__main__":
    # A SAM that does it otherwise is not to be patched by chance.
    assert isinstance(Container._create_threading_event(), threading.Event)
    Container._create_threading_event = staticmethod(LogIsThere)
    sys.argv[0] = "sam"
    sys.exit(cli())
