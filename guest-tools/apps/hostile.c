/* SPDX-License-Identifier: Apache-2.0 */
/* What is chosen at random, and accesses of BARs; see hostile.h. */
#define _GNU_SOURCE
#include "hostile.h"

#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

/* ---------------------------------------------------------------------------------------------- generator */

static uint64_t next(struct hostile *h) /* splitmix64 */
{
    uint64_t z = h->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t hostile_below(struct hostile *h, uint64_t limit)
{
    return next(h) % limit;
}

bool hostile_once_in(struct hostile *h, unsigned times)
{
    return hostile_below(h, times) == 0;
}

uint64_t hostile_number(struct hostile *h)
{
    uint64_t power = UINT64_C(1) << hostile_below(h, 64);
    switch (hostile_below(h, 6)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return power;
    case 3:
        return power - 1;
    case 4:
        return hostile_below(h, 256);
    default:
        return next(h);
    }
}

uint64_t hostile_target(struct hostile *h, bool writes, uint32_t *length)
{
    const uint64_t data = h->address + 2 * RING_BYTES;
    bool free_choice = !writes || h->anywhere;
    *length = free_choice && hostile_once_in(h, 2) ? (uint32_t)hostile_number(h)
                                                   : (uint32_t)hostile_below(h, WRITE_BYTES + 1);
    if (hostile_once_in(h, 8))
        *length = 0;
    switch (hostile_below(h, free_choice ? 12 : 10)) {
    case 0: /* the last bytes that there are: the end is the next round's first address */
        return UINT64_MAX - hostile_below(h, 4096);
    case 1:
        return hostile_number(h) | UINT64_C(1) << 63 | HOSTILE_BEYOND_RAM;
    case 2:
        return HOSTILE_BEYOND_RAM + hostile_below(h, 4096);
    case 3:
        return UINT32_MAX - hostile_below(h, 65536);
    case 10:
        return hostile_below(h, h->ram_end);
    case 11: /* across the end of RAM */
        return h->ram_end - hostile_below(h, 65536);
    default:
        return data + hostile_below(h, WRITE_BYTES + 1);
    }
}

/* ----------------------------------------------------------------------------------------------- accesses */

/* On arm64 an access that no device takes, such as a byte of the MSI-X table in QEMU, is a fault of the
 * program. */
static sigjmp_buf refused;

static void on_refusal(int number)
{
    (void)number;
    siglongjmp(refused, 1);
}

void hostile_survive_refusals(void)
{
    struct sigaction action = {.sa_handler = on_refusal};
    sigaction(SIGBUS, &action, NULL);
}

static uint64_t load(const volatile uint8_t *at, unsigned size)
{
    return size == 1   ? *at
           : size == 2 ? *(const volatile uint16_t *)at
           : size == 4 ? *(const volatile uint32_t *)at
                       : *(const volatile uint64_t *)at;
}

static void store(volatile uint8_t *at, unsigned size, uint64_t value)
{
    if (size == 1)
        *at = (uint8_t)value;
    else if (size == 2)
        *(volatile uint16_t *)at = (uint16_t)value;
    else if (size == 4)
        *(volatile uint32_t *)at = (uint32_t)value;
    else
        *(volatile uint64_t *)at = value;
}

uint64_t hostile_read(struct hostile *h, unsigned bar, size_t offset, unsigned size)
{
    const struct hostile_bar *it = &h->bars[bar];
    uint64_t value = UINT64_MAX;
    if (offset >= it->size || size > it->size - offset || sigsetjmp(refused, 1) != 0)
        return UINT64_MAX;
    if (it->mapped)
        return load(it->mapped + offset, size);
    return pread(it->fd, &value, size, (off_t)offset) < 0 ? UINT64_MAX : value;
}

void hostile_write(struct hostile *h, unsigned bar, size_t offset, unsigned size, uint64_t value)
{
    const struct hostile_bar *it = &h->bars[bar];
    if (offset >= it->size || size > it->size - offset || sigsetjmp(refused, 1) != 0)
        return;
    gc_write_barrier();
    if (it->mapped)
        store(it->mapped + offset, size, value);
    else if (pwrite(it->fd, &value, size, (off_t)offset) < 0)
        return; /* I/O ports, of a size that the kernel refuses */
}
