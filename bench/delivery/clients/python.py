"""Python's smtplib on a kept connection: python.py <work> <port>, prints a timing as JSON. Content comes on standard input."""
import json
import resource
import smtplib
import sys
import time

work, port = json.loads(sys.argv[1]), int(sys.argv[2])
content = sys.stdin.buffer.read()
to = [f"user{i}@example.net" for i in range(work["recipients"])]


def send(messages):
    if work["connection"] == "kept":
        for _ in range(messages):
            kept.sendmail("ann@example.org", to, content)
        return
    for _ in range(messages):
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("ann@example.org", to, content)


kept = smtplib.SMTP("127.0.0.1", port) if work["connection"] == "kept" else None
send(1)
messages, batch = 0, max(1, work["messages"] // 20)
start, cpu = time.perf_counter(), time.process_time()
while messages < work["messages"] and time.perf_counter() - start < 2:
    send(batch if messages else 1)
    messages += batch if messages else 1
print(json.dumps({
    "messages": messages,
    "seconds": time.perf_counter() - start,
    "cpuMicros": round((time.process_time() - cpu) * 1e6),
    "peakRssMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
