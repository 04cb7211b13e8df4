/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver with a bug, for stalled-driver.test.ts: receives one interrupt of the reference card by UIO, and
 * waits for another without enabling it again. UIO leaves Interrupt Disable set until the driver clears it.
 * Exit code 3: the second interrupt has not come.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "include/ghostcard_ref_regs.h"

enum { USER = GHOSTCARD_REF_IRQ_STATUS_USER_MASK, WAIT_MS = 4000 };

static volatile uint32_t *registers;

static int takes_interrupt(int uio)
{
    uint32_t count;
    struct pollfd ready = {.fd = uio, .events = POLLIN};
    registers[GHOSTCARD_REF_IRQ_TRIGGER / 4] = USER;
    if (poll(&ready, 1, WAIT_MS) != 1 || read(uio, &count, sizeof(count)) != sizeof(count))
        return 0;
    registers[GHOSTCARD_REF_IRQ_STATUS / 4] = USER;
    return registers[GHOSTCARD_REF_IRQ_STATUS / 4] == 0;
}

int main(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", getenv("GHOSTCARD_PCI_ADDRESS"));
    int uio = open(getenv("GHOSTCARD_DEVICE"), O_RDWR);
    int bar = open(path, O_RDWR);
    void *mapped = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, bar, 0);
    if (uio < 0 || mapped == MAP_FAILED) {
        perror(path);
        return 1;
    }
    registers = mapped;
    registers[GHOSTCARD_REF_IRQ_ENABLE / 4] = USER;
    if (!takes_interrupt(uio))
        return 2;
    return takes_interrupt(uio) ? 0 : 3;
}
