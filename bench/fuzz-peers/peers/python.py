"""Python's smtplib: for each port on standard input one message, and then a line on standard output."""
import platform
import smtplib
import sys

print(platform.python_version(), flush=True)
for port in sys.stdin:
    try:
        with smtplib.SMTP("127.0.0.1", int(port), "client.example", timeout=2) as client:
            client.sendmail("a@b.example", "c@d.example", "x\r\n")
        print("sent", flush=True)
    except Exception as error:
        print(repr(error).replace("\n", " "), flush=True)
