/* SPDX-License-Identifier: Apache-2.0 */
/* The driver, for a card that is bound to uio_pci_generic: blink red|green on|off */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { ID = 0x00 / 4, LEDS = 0x04 / 4, RED = 1 << 0, GREEN = 1 << 1 };

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: blink red|green on|off");
    uint32_t led = strcmp(argv[1], "red") == 0 ? RED : GREEN;
    int bar0 = open("/sys/class/uio/uio0/device/resource0", O_RDWR);
    if (bar0 < 0)
        err(1, "cannot open BAR 0 of the card behind /dev/uio0");
    volatile uint32_t *registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bar0, 0);
    if (registers == MAP_FAILED)
        err(1, "cannot map BAR 0");
    if (registers[ID] != 0x4b4e4c42)
        errx(1, "ID is 0x%08x: this is no blink card", registers[ID]);
    registers[LEDS] = strcmp(argv[2], "on") == 0 ? registers[LEDS] | led : registers[LEDS] & ~led;
    printf("LEDS: 0x%x\n", registers[LEDS]); /* and this read comes back after the write has arrived */
    return 0;
}
