"""Postfix's smtp-source, a process for each round, one connection: smtp_source.py WORK TARGET SECONDS FILE, content in the file."""
import json
import resource
import subprocess
import sys

import client_process

work, target = json.loads(sys.argv[1]), json.loads(sys.argv[2])
# It puts CRLF where a line ends.
lines = f"{sys.argv[4]}.lines"
with open(sys.argv[4], "rb") as file, open(lines, "wb") as copy:
    copy.write(file.read().replace(b"\r\n", b"\n"))


def send(messages):
    subprocess.run(
        ["/usr/sbin/smtp-source", "-d", "-m", str(messages), "-r", str(work["recipients"]), "-F", lines,
         "-f", "ann@example.org", "-t", "user@example.net", f"127.0.0.1:{target['port']}"],
        check=True,
    )


client_process.serve(send, resource.RUSAGE_CHILDREN, float(sys.argv[3]))
