"""What a client process is asked and answers, as in run-client.ts, for clients in Python and such as it starts."""
import json
import resource
import sys
import time

MiB = 1024


def serve(send, who, warm_up):
    """`send` takes a number of messages; `who` of getrusage does the work; seconds to warm up."""
    def cpu():
        used = resource.getrusage(who)
        return used.ru_utime + used.ru_stime

    def timed(messages):
        start, before = time.perf_counter(), cpu()
        send(messages)
        return {
            "messages": messages,
            "seconds": time.perf_counter() - start,
            "cpuMicros": round((cpu() - before) * 1e6),
            "peakRssMiB": resource.getrusage(who).ru_maxrss / MiB,
            "idleRssMiB": idle,
        }

    def answer(said):
        print(json.dumps(said), flush=True)

    idle = resource.getrusage(who).ru_maxrss / MiB
    start, messages = time.perf_counter(), 1
    while True:
        rate = messages / (seconds := timed(messages)["seconds"])
        if time.perf_counter() - start >= warm_up:
            break
        if seconds < warm_up / 4:
            messages *= 2
    answer("ready")
    for line in sys.stdin:
        ask = json.loads(line)
        answer(timed(ask["messages"] if "messages" in ask else max(1, round(rate * ask["seconds"]))))
