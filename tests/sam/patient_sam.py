"""The SAM CLI, which loses nothing of a function's log, and waits for it as long as it takes.

It attaches to a container for what has been written and for what is yet to come. The engine gives it the one and then the other, and
what is written in between is lost, or comes twice. That is a moment, but the moment of the first invocation. So the log is read from
where the engine keeps it (`wait_for_logs`).

`sam local invoke` gives the log of a container one second to arrive after the answer, and then ends without it
(samcli/local/docker/container.py, `wait_for_result`). On a busy machine that is no time, and the record that a test looks for is in
what was left behind. Only that second is made longer; it is not waited for when the log is there.

And whether it is there SAM sees only where the log's last line is the first or the second of what comes in one piece
(`_handle_data_writing`). Where more lines come at once, or half a one, it would wait for nothing: so the lines are put together here.
"""

import re
import sys
import threading

from samcli.cli.main import cli
from samcli.local.docker.container import Container

# Less than the tests have patience for a command.
SECONDS = 30
# The line that ends an invocation's log.
LAST = re.compile(rb"REPORT RequestId:\s.+ Duration:\s.+\sMax Memory Used:\s.+")


class LogIsThere(threading.Event):
    """Set once the last line has come, in however many pieces."""

    def __init__(self):
        super().__init__()
        self.log = b""

    def wait(self, timeout=None):
        return super().wait(SECONDS if timeout == 1 else timeout)

    def clear(self):
        self.log = b""
        super().clear()

    def came(self, piece):
        self.log += piece
        if LAST.search(self.log):
            self.set()


def make_patient():
    # A SAM that does it otherwise is not to be patched by chance.
    assert isinstance(Container._create_threading_event(), threading.Event)
    written = Container._handle_data_writing

    def write(output_stream, output_data, event):
        written(output_stream, output_data, event)
        if event:
            event.came(output_data)

    def read_log(self, stdout=None, stderr=None, event=None):
        if stdout or stderr:
            log = self.docker_client.containers.get(self.id).logs(stream=True, follow=True)
            self._write_container_output(((piece, None) for piece in log), stdout=stdout or stderr, event=event)

    Container.wait_for_logs = read_log
    Container._create_threading_event = staticmethod(LogIsThere)
    Container._handle_data_writing = staticmethod(write)


if __name__ == "__main__":
    make_patient()
    sys.argv[0] = "sam"
    sys.exit(cli())
