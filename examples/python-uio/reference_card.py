#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the reference card through uio_pci_generic: registers, and one interrupt. Needs root and nothing but Python.

Source: Linux Documentation/driver-api/uio-howto.rst; docs/reference-card.md for the registers.
"""

import mmap
import os
import select
import struct
import sys

NODE = os.environ.get("GHOSTCARD_DEVICE", "/dev/uio0")
SYSFS = f"/sys/class/uio/{os.path.basename(NODE)}/device"

# Registers of the card in BAR 0, and the interrupt source that a driver can raise itself.
ID, SCRATCH, IRQ_STATUS, IRQ_ENABLE, IRQ_TRIGGER, IRQ_COUNT = 0x000, 0x00C, 0x100, 0x104, 0x108, 0x10C
REFERENCE_CARD = 0x47484331
USER = 1 << 4

# The command register in configuration space.
COMMAND = 0x04
INTERRUPT_DISABLE = 1 << 10

INTERRUPT_LIMIT_S = 5


class Registers:
    """A BAR as 32-bit registers by offset. Slices of an mmap, and struct on one, may access a register twice."""

    def __init__(self, bar):
        file = os.open(f"{SYSFS}/resource{bar}", os.O_RDWR)
        self._words = memoryview(mmap.mmap(file, os.fstat(file).st_size)).cast("I")
        os.close(file)

    def __getitem__(self, offset):
        return self._words[offset // 4]

    def __setitem__(self, offset, value):
        self._words[offset // 4] = value


class Interrupt:
    """The card's INTx. The kernel masks it when it comes; it must be unmasked again for the next one."""

    def __init__(self):
        self._node = os.open(NODE, os.O_RDWR)
        self._config = os.open(f"{SYSFS}/config", os.O_RDWR)

    def unmask(self):
        (command,) = struct.unpack("<H", os.pread(self._config, 2, COMMAND))
        os.pwrite(self._config, struct.pack("<H", command & ~INTERRUPT_DISABLE), COMMAND)

    def wait(self):
        """Until the next one; gives back how many there were since the card got its driver."""
        poll = select.poll()
        poll.register(self._node, select.POLLIN)
        if not poll.poll(INTERRUPT_LIMIT_S * 1000):
            sys.exit(f"no interrupt on {NODE} within {INTERRUPT_LIMIT_S} s")
        (count,) = struct.unpack("=I", os.read(self._node, 4))
        return count


registers = Registers(0)
if registers[ID] != REFERENCE_CARD:
    sys.exit(f"ID of the card behind {NODE} is 0x{registers[ID]:08x}, not 0x{REFERENCE_CARD:08x}")
print(f"ID: 0x{registers[ID]:08x}")

registers[SCRATCH] = 0x600DCAFE
print(f"SCRATCH: 0x{registers[SCRATCH]:08x}")

interrupt = Interrupt()
registers[IRQ_ENABLE] = USER
for _ in range(2):
    interrupt.unmask()
    registers[IRQ_TRIGGER] = USER
    count = interrupt.wait()
    print(f"interrupt {count}: IRQ_STATUS 0x{registers[IRQ_STATUS]:02x}, IRQ_COUNT {registers[IRQ_COUNT]}")
    registers[IRQ_STATUS] = USER  # write 1 to clear
registers[IRQ_ENABLE] = 0
