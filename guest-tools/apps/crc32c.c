/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C by a table of all byte values; see crc32c.h. */
#include "crc32c.h"

/* The generator polynomial 0x1edc6f41, bits reversed: the CRC is sent least significant bit first. */
static const uint32_t POLYNOMIAL = 0x82f63b78;

static const uint32_t *table(void)
{
    static uint32_t entries[256];
    if (entries[1] != 0)
        return entries;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t remainder = byte;
        for (int bit = 0; bit < 8; bit++)
            remainder = remainder & 1 ? remainder >> 1 ^ POLYNOMIAL : remainder >> 1;
        entries[byte] = remainder;
    }
    return entries;
}

uint32_t crc32c(uint32_t before, const void *bytes, size_t size)
{
    const uint32_t *remainders = table();
    const uint8_t *at = bytes;
    uint32_t crc = ~before;
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ remainders[(crc ^ at[i]) & 0xff];
    return ~crc;
}
