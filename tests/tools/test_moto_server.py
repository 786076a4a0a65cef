"""moto starts on a free port, holds items, and ends with its standard input."""

import json
import pathlib
import subprocess
import sys
import unittest

import botocore.session

SCRIPT = pathlib.Path(__file__).with_name("moto_server")


class MotoServer(unittest.TestCase):
    def test_serves_a_table_and_ends(self):
        process = subprocess.Popen([sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        ready = json.loads(process.stdout.readline())
        client = botocore.session.get_session().create_client(
            "dynamodb", region_name="eu-central-1", endpoint_url=ready["url"], aws_access_key_id="any", aws_secret_access_key="any"
        )
        client.create_table(
            TableName="latchkey",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        item = {"pk": {"S": "SUBJECT#corp#alice"}, "sk": {"S": "TARGET#research"}}
        client.put_item(TableName="latchkey", Item=item)
        self.assertEqual(client.get_item(TableName="latchkey", Key=item)["Item"], item)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=10), 0)


if __name__ == "__main__":
    unittest.main()
