/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver with mistakes, on the engine of test/support/check-examples.ts, through sysfs. `unaligned` stores
 * 32 bits at an address that is no multiple of 4; `leave` starts the engine and ends, with Bus Master Enable
 * set.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", getenv("GHOSTCARD_PCI_ADDRESS"), name);
    int fd = open(path, O_RDWR | O_SYNC);
    if (fd < 0)
        perror(path), exit(2);
    return fd;
}

static void enable_bus_master(void)
{
    int fd = open_file("config");
    uint16_t command;
    if (pread(fd, &command, 2, 4) != 2)
        exit(2);
    command |= 6;
    if (pwrite(fd, &command, 2, 4) != 2)
        exit(2);
}

int main(int argc, char **argv)
{
    volatile uint8_t *bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open_file("resource0"), 0);
    if (argc != 2 || bar == MAP_FAILED)
        return 2;
    if (!strcmp(argv[1], "unaligned")) {
        *(volatile uint32_t *)(bar + 0x0a) = 0x12345678;
        return 0;
    }
    enable_bus_master();
    *(volatile uint32_t *)(bar + 0x10) = 0x100000;
    *(volatile uint32_t *)(bar + 0x00) = 1;
    return *(volatile uint32_t *)bar == 1 ? 0 : 3;
}
