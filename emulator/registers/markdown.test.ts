import { expect, test } from 'vitest';
import { markdownTable, registerBlock, registerMap } from './index';

const CHANNEL = registerBlock({
  STATUS: {
    offset: 0x4,
    access: 'ro',
    doc: 'State of the engine.',
    fields: {
      BUSY: [0, 'Works.'],
      CODE: { bits: [11, 8], access: 'w1c', doc: 'Why | when.', reset: 2, values: { NONE: 0, BAD: 2 } },
    },
  },
});

const DESCRIPTOR = registerBlock({
  ADDRESS: { offset: 0x8, width: 64, access: 'rw', doc: 'In host memory.' },
  CONTROL: { offset: 0x0, access: 'rw', fields: { OWNER: [0, "The card's."] } },
});

const MAP = registerMap({
  H2C: { offset: 0x1000, stride: 0x100, count: 2, doc: 'Host to card.', registers: CHANNEL },
  C2H: { offset: 0x2000, registers: CHANNEL },
  ID: { offset: 0, access: 'ro', reset: 0x4748_4331, doc: 'Tells the card.' },
});

test('the Markdown of a map has a table for its registers, one for each kind of block and one for each structure', () => {
  expect(markdownTable(MAP, { structures: { DESC: DESCRIPTOR } })).toBe(`### Registers

| Offset | Name | Bits | Access | Reset | Meaning |
| --- | --- | --- | --- | --- | --- |
| \`0x0000\` | \`ID\` | 31:0 | ro | \`0x47484331\` | Tells the card. |

### \`H2C[n]\` and \`C2H[n]\`

- \`H2C[n]\` is at \`0x1000 + n * 0x100\`, n from 0 to 1. Host to card.
- \`C2H[0]\` is at \`0x2000\`.

| Offset | Name | Bits | Access | Reset | Meaning |
| --- | --- | --- | --- | --- | --- |
| \`0x04\` | \`STATUS\` | 31:0 | mixed | \`0x200\` | State of the engine. |
|  | \`STATUS.BUSY\` | 0 | ro | 0 | Works. |
|  | \`STATUS.CODE\` | 11:8 | w1c | 2 | Why \\| when. 0: NONE, 2: BAD |

### \`DESC\` in host memory

16 bytes, little-endian.

| Offset | Name | Bits | Meaning |
| --- | --- | --- | --- |
| \`0x00\` | \`CONTROL\` | 31:0 |  |
|  | \`CONTROL.OWNER\` | 0 | The card's. |
| \`0x08\` | \`ADDRESS\` | 63:0 | In host memory. |
`);
});

test('the headings have the level that was asked for', () => {
  expect(markdownTable(MAP, { headingLevel: 2 })).toMatch(/^## Registers\n/);
});
