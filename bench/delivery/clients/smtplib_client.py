"""Python's smtplib on a kept connection: smtplib_client.py WORK TARGET SECONDS FILE, content in the file."""
import json
import resource
import smtplib
import sys

import client_process

work, target = json.loads(sys.argv[1]), json.loads(sys.argv[2])
with open(sys.argv[4], "rb") as file:
    content = file.read()
to = [f"user{i}@example.net" for i in range(work["recipients"])]
connection = smtplib.SMTP("127.0.0.1", target["port"])


def send(messages):
    for _ in range(messages):
        if connection.sendmail("ann@example.org", to, content):
            raise RuntimeError("refused")


client_process.serve(send, resource.RUSAGE_SELF, float(sys.argv[3]))
