"""That all of a function's log is read, once, and its end seen in whatever pieces it comes: `sam local invoke` would wait in vain."""

import contextlib
import io
import threading
import time
import types
import unittest

import docker

import engine
import patient_sam
from samcli.local.docker.container import Container

RECORD = b'{"event":"latchkey.decision"}\n'
END = b"END RequestId: 1\n"
REPORT = b"REPORT RequestId: 1\tInit Duration: 0.1 ms\tDuration: 20.00 ms\tBilled Duration: 20 ms\tMemory Size: 128 MB\tMax Memory Used: 128 MB\t\n"


class Log(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        patient_sam.make_patient()

    def is_there(self, *pieces):
        event, out = Container._create_threading_event(), io.BytesIO()
        Container._write_container_output([(piece, None) for piece in pieces], stdout=out, event=event)
        self.assertEqual(out.getvalue(), b"".join(pieces))
        return event.is_set()

    def test_however_it_comes(self):
        whole = RECORD + END + REPORT
        for pieces in [(RECORD, END, REPORT), (RECORD, END + REPORT), (whole,), (whole[:-60], whole[-60:]), (RECORD * 5 + END + REPORT,)]:
            self.assertTrue(self.is_there(*pieces), pieces)

    def test_not_before(self):
        self.assertFalse(self.is_there(RECORD, END))
        self.assertFalse(self.is_there(RECORD + END + REPORT[:-40]))

    def test_each_invocation_has_its_own(self):
        event = Container._create_threading_event()
        Container._write_container_output([(RECORD + END + REPORT, None)], stdout=io.BytesIO(), event=event)
        event.clear()
        Container._write_container_output([(RECORD, None)], stdout=io.BytesIO(), event=event)
        self.assertFalse(event.is_set())

    @unittest.skipIf(engine.why_not() is not None, engine.why_not())
    def test_nothing_is_lost_while_it_is_being_written(self):
        # SAM's own way loses lines, or has them twice, in one of these containers or two.
        one = engine.Engine()
        try:
            one.make_image()
            with contextlib.closing(docker.DockerClient(base_url=one.host)) as client:
                for _ in range(6):
                    self.assertEqual(self.counted(client).split(), [str(number) for number in range(6000)])
        finally:
            one.stop()

    def counted(self, client):
        """What is read of a container that counts to 6,000, and then, as a function's, is there until it is ended."""
        count = "i=0; while [ $i -lt 6000 ]; do echo $i; i=$((i+1)); done; read nothing"
        container = client.containers.run(f"{engine.IMAGE}:al2023", ["/bin/sh", "-c", count], stdin_open=True, detach=True)
        out = io.BytesIO()
        known = types.SimpleNamespace(
            docker_client=client, id=container.id, is_created=lambda: True, _write_container_output=Container._write_container_output
        )
        reading = threading.Thread(target=Container.wait_for_logs, args=(known,), kwargs={"stderr": out}, daemon=True)
        reading.start()
        until = time.monotonic() + patient_sam.SECONDS
        while not out.getvalue().endswith(b"\n5999\n") and time.monotonic() < until:
            time.sleep(0.05)
        container.kill()
        reading.join(patient_sam.SECONDS)
        return out.getvalue().decode()


if __name__ == "__main__":
    unittest.main()
