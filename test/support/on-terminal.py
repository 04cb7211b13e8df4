"""Runs a command on a terminal of its own, as a person would: waits for text, types, changes the window's size.

    on-terminal.py STEPS COMMAND...

STEPS is a JSON list: {"size": [columns, rows]}, {"wait": TEXT}, {"type": TEXT}, {"kill": SIGNAL}. Prints, as JSON, the
command's exit code (negative: a signal), all that it wrote, and whether the terminal is in the mode that it was in.
"""
import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

STEP_TIMEOUT_S = 60


class Terminal:
    def __init__(self, command):
        self.unseen = b''
        self.written = b''
        master, slave = pty.openpty()
        self.fd = master
        self.slave = slave  # held open: its mode can be asked for when the command is gone
        self.pid = os.fork()
        if self.pid == 0:
            os.close(master)
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(slave, fd)
            os.execvp(command[0], command)
        self.mode = termios.tcgetattr(slave)

    def read(self, timeout_s):
        if not select.select([self.fd], [], [], timeout_s)[0]:
            return False
        data = os.read(self.fd, 4096)
        self.unseen += data
        self.written += data
        return True

    def wait(self, text):
        wanted, deadline = text.encode(), time.monotonic() + STEP_TIMEOUT_S
        while wanted not in self.unseen:
            left = deadline - time.monotonic()
            if left < 0 or not self.read(left):
                sys.exit(f'no {text!r} within {STEP_TIMEOUT_S} s; seen since the step before: {self.unseen!r}')
        self.unseen = self.unseen.split(wanted, 1)[1]

    def type(self, text):
        os.write(self.fd, text.encode())

    def size(self, size):
        columns, rows = size
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def kill(self, signal):
        os.kill(self.pid, signal)

    def end(self):
        """What is written must be read, or the command could not end."""
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                break
            if time.monotonic() > deadline:
                sys.exit(f'the command has not ended within {STEP_TIMEOUT_S} s')
            self.read(0.05)
        while self.read(0):
            pass
        # The process that restores the mode after a SIGKILL needs a moment.
        while termios.tcgetattr(self.slave) != self.mode and time.monotonic() < deadline:
            self.read(0.05)
        return {
            'exitCode': os.waitstatus_to_exitcode(status),
            'output': self.written.decode(errors='replace'),
            'modeRestored': termios.tcgetattr(self.slave) == self.mode,
        }


terminal = Terminal(sys.argv[2:])
for step in json.loads(sys.argv[1]):
    for name, value in step.items():
        getattr(terminal, name)(value)
print(json.dumps(terminal.end()))
