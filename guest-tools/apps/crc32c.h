/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), the reference that the card's kernel is checked against. Models: RFC 3720, appendix
 * B.4. */
#ifndef GHOSTCARD_CRC32C_H
#define GHOSTCARD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of `size` bytes that follow others with the CRC `before` (0 at the start). */
uint32_t crc32c(uint32_t before, const void *bytes, size_t size);

#endif
