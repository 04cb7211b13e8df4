import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cHeader, registerBlock, registerMap, RegisterMapError } from './index';

const CHANNEL = registerBlock({
  STATUS: {
    offset: 0x4,
    access: 'ro',
    doc: 'State of the engine.',
    fields: {
      BUSY: [0, 'Works.'],
      ERROR: { bits: [2], access: 'w1c' },
      CODE: { bits: [11, 8], doc: 'Why it halted.', values: { NONE: 0, BAD_LENGTH: 2 } },
    },
  },
  RING_BASE: { offset: 0x8, width: 64, access: 'rw', fields: { PAGE: [63, 12] } },
  GAP: { offset: 0x10, access: 'reserved' },
});

const DESCRIPTOR = registerBlock({
  CONTROL: { offset: 0x0, access: 'rw', fields: { OWNER: [31, "The card's."] } },
  ADDRESS: { offset: 0x8, width: 64, access: 'rw', doc: 'In host memory.' },
  PAD: { offset: 0x10, width: 64, access: 'reserved' },
});

const MAP = registerMap({
  H2C: { offset: 0x1000, stride: 0x100, count: 2, doc: 'Host to card.', registers: CHANNEL },
  ID: { offset: 0, access: 'ro', reset: 0x4748_4331, doc: 'Tells the card.' },
});

const OPTIONS = { prefix: 'CARD', doc: 'A card for tests.', structures: { DESC: DESCRIPTOR } };

test('the C header of a map defines an offset for every register, and shift, mask and values for every field', () => {
  expect(cHeader(MAP, OPTIONS)).toBe(`/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A card for tests.
 *
 * Generated from the register map: change that, not this file.
 */
/* clang-format off */
#ifndef CARD_REGS_H
#define CARD_REGS_H

#include <stdint.h>

/* Register window, in bytes. */
#define CARD_SIZE 0x2000u

/* ID: 32 bits, ro. Tells the card. */
#define CARD_ID       0x00u
#define CARD_ID_RESET 0x47484331u

/* H2C[n]: 2 blocks of registers, n from 0. Host to card. */
#define CARD_H2C(n)          (0x1000u + (n) * 0x100u)
#define CARD_H2C_BLOCK_COUNT 2u

/* H2C[n].STATUS: 32 bits, mixed. State of the engine. */
#define CARD_H2C_STATUS(n)              (CARD_H2C(n) + 0x04u)
#define CARD_H2C_STATUS_BUSY_SHIFT      0u
#define CARD_H2C_STATUS_BUSY_MASK       0x00000001u /* [0] ro. Works. */
#define CARD_H2C_STATUS_ERROR_SHIFT     2u
#define CARD_H2C_STATUS_ERROR_MASK      0x00000004u /* [2] w1c. */
#define CARD_H2C_STATUS_CODE_SHIFT      8u
#define CARD_H2C_STATUS_CODE_MASK       0x00000f00u /* [11:8] ro. Why it halted. */
#define CARD_H2C_STATUS_CODE_NONE       0u
#define CARD_H2C_STATUS_CODE_BAD_LENGTH 2u

/* H2C[n].RING_BASE: 64 bits, rw. */
#define CARD_H2C_RING_BASE(n)         (CARD_H2C(n) + 0x08u)
#define CARD_H2C_RING_BASE_PAGE_SHIFT 12u
#define CARD_H2C_RING_BASE_PAGE_MASK  UINT64_C(0xfffffffffffff000) /* [63:12] rw. */

/* DESC: structure in host memory, little-endian. Size and offsets in bytes. */
#define CARD_DESC_SIZE 24u

/* DESC.CONTROL: 32 bits. */
#define CARD_DESC_CONTROL             0x00u
#define CARD_DESC_CONTROL_OWNER_SHIFT 31u
#define CARD_DESC_CONTROL_OWNER_MASK  0x80000000u /* [31]. The card's. */

/* DESC.ADDRESS: 64 bits. In host memory. */
#define CARD_DESC_ADDRESS 0x08u

#endif /* CARD_REGS_H */
`);
});

test('the C header also describes a block on its own, for code that serves several arrays of it', () => {
  const header = cHeader(MAP, { prefix: 'CARD', structures: { CHANNEL } });
  expect(header).toMatch(/#define CARD_CHANNEL_STATUS_BUSY_MASK +0x00000001u/);
});

test('a map in which two names give the same macro is refused, and the error names both', () => {
  const map = registerMap({
    LED: { offset: 0, access: 'rw', fields: { RED: [0] } },
    LED_RED_MASK: { offset: 4, access: 'rw' },
  });
  expect(() => cHeader(map, { prefix: 'CARD' })).toThrow(RegisterMapError);
  expect(() => cHeader(map, { prefix: 'CARD' })).toThrow(
    "The C header would define CARD_LED_RED_MASK twice: for 'LED: 32 bits, rw.' and for 'LED_RED_MASK: 32 bits, rw.'.",
  );
});

test('a doc text that contains comment delimiters cannot end the comment around it', () => {
  const map = registerMap({ ID: { offset: 0, access: 'ro', doc: 'One */ two /* three\nfour.' } });
  expect(cHeader(map, { prefix: 'CARD', doc: 'first */\nsecond' })).toContain(
    '/* ID: 32 bits, ro. One * / two / * three four. */',
  );
});

describe('a C compiler', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ghostcard-c-header-'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const program = `#include "card.h"
#define CHECK(condition) _Static_assert(condition, #condition)
CHECK(CARD_ID == 0 && CARD_ID_RESET == 0x47484331);
CHECK(CARD_H2C(1) == 0x1100 && CARD_H2C_STATUS(1) == 0x1104 && CARD_H2C_STATUS(0 + 1) == 0x1104);
CHECK(CARD_H2C_STATUS_CODE_MASK >> CARD_H2C_STATUS_CODE_SHIFT == 0xf);
CHECK(CARD_H2C_RING_BASE_PAGE_MASK >> CARD_H2C_RING_BASE_PAGE_SHIFT == 0xfffffffffffff);
CHECK(CARD_DESC_SIZE == 24 && CARD_DESC_CONTROL_OWNER_MASK == UINT32_C(1) << 31);
int main(void) { return 0; }
`;

  test('accepts the header as C11 without a warning and sees the values of the map', async () => {
    await writeFile(join(folder, 'card.h'), cHeader(MAP, OPTIONS));
    await writeFile(join(folder, 'check.c'), program);
    const args = ['-std=c11', '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only', 'check.c'];
    const { all } = await execa('gcc', args, { cwd: folder, all: true, timeout: 60_000 });
    expect(all).toBe('');
  });
});
