"""Start a program that dies with its parent: `python -I -S launch.py PARENT_PID PROGRAM ARG ...`.

A script of its own, not a `preexec_fn`: Python between fork and exec of a process with threads can
deadlock. The death signal survives exec, and belongs to the *thread* that forked (the supervisor starts
children from its main thread only).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Answer an exit code only when the program could not be started (126) or the parent is gone (0)."""
    parent, program = int(argv[1]), argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.stderr.write(f"cannot tie {program[0]} to its parent: {os.strerror(ctypes.get_errno())}\n")
        return 126
    if os.getppid() != parent:  # it died before the line above: nobody would ever send the signal
        return 0
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):  # exec would hand this down
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execv(program[0], program)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"cannot start {program[0]}: {error.strerror}\n")
        return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv))
