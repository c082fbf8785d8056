"""Stops a worker well, as the container's preStop hook: asks it to end, and waits until it has.

usage: stop_worker.py SECONDS [PID]

NoETL's worker heeds SIGINT alone: it stops fetching, finishes and acknowledges the commands that it holds, and exits. SIGTERM,
which the kubelet sends once this hook has returned, does nothing to it. So the hook returns when the process is gone, which
as a rule ends the container and the hook with it, or after SECONDS, when what is left is cut off.
"""
import os
import signal
import sys
import time


def is_there(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def main(seconds, pid):
    deadline = time.monotonic() + seconds
    try:
        os.kill(pid, signal.SIGINT)
    except ProcessLookupError:
        return
    while is_there(pid):
        if time.monotonic() > deadline:
            sys.exit(f"the worker did not end within {seconds:g} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
