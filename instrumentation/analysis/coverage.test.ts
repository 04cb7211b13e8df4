import { describe, expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent } from '../trace';
import { coverageOf } from '.';
import { at, describing } from '../../test/support/traces';

const MAP = registerMap({
  CONTROL: { offset: 0, access: 'rw', reset: 2, fields: { START: [0], MODE: [3, 1] } },
  BASE: { offset: 8, width: 64, access: 'rw' },
  UNUSED: { offset: 0x20, access: 'rw' },
});

const CONFIG = 7;
const description = {
  ...describing('dut', MAP),
  memory: [{ region: 2, offset: 0, sizeBytes: 0x1000 }],
};
const card: TraceEvent = { ...at(0), kind: 'card', description };

const access = (kind: 'read' | 'write', region: number, offset: number, ...bytes: number[]): TraceEvent => ({
  ...at(1),
  kind,
  region,
  offset,
  data: Uint8Array.from(bytes),
});
const covering = (...events: TraceEvent[]) => coverageOf({ events: [card, ...events] }).cards[0]!;

describe('the coverage of a register map', () => {
  it('counts reads and writes of each register, parts of it and accesses across several included', () => {
    const { registers, touched } = covering(
      access('write', 0, 0, 2, 0, 0, 0),
      access('read', 0, 12, 0, 0),
      access('read', 0, 0, ...new Array<number>(16).fill(0)),
    );
    expect(registers.map(({ name, reads, writes }) => [name, reads, writes])).toEqual([
      ['CONTROL', 1, 1],
      ['BASE', 2, 0],
      ['UNUSED', 0, 0],
    ]);
    expect(touched).toBe(2);
  });

  it('says which fields never left their reset value', () => {
    const fieldsAfter = (...bytes: number[]) => covering(access('write', 0, 0, ...bytes)).registers[0]!.unchangedFields;
    expect(fieldsAfter(2, 0, 0, 0)).toEqual(['START', 'MODE']);
    expect(fieldsAfter(3, 0, 0, 0)).toEqual(['MODE']);
    expect(fieldsAfter(0, 0)).toEqual(['START']);
    expect(covering(access('write', 0, 2, 0xff)).registers[0]!.unchangedFields).toEqual(['START', 'MODE']);
  });

  it('lists what was accessed and is not modelled, by address and size', () => {
    const { unmodelled } = covering(
      access('read', 0, 0x40, 0, 0, 0, 0),
      access('write', 0, 0x10, 0),
      access('read', 0, 0x40, 0, 0, 0, 0),
      access('write', 0, 0x40, 0, 0, 0, 0),
      access('read', 0, 0x40, 0),
    );
    expect(unmodelled).toEqual([
      { region: 0, offset: 0x10, sizeBytes: 1, reads: 0, writes: 1 },
      { region: 0, offset: 0x40, sizeBytes: 1, reads: 1, writes: 0 },
      { region: 0, offset: 0x40, sizeBytes: 4, reads: 2, writes: 1 },
    ]);
  });

  it('takes memory for modelled, and keeps configuration space apart', () => {
    const { unmodelled, unmodelledConfig } = covering(access('read', 2, 0x800, 0), access('read', CONFIG, 0x300, 0));
    expect(unmodelled).toEqual([]);
    expect(unmodelledConfig).toMatchObject([{ offset: 0x300, reads: 1 }]);
  });

  it('keeps cards apart', () => {
    const other: TraceEvent = { ...card, card: 2 } as TraceEvent;
    const { cards } = coverageOf({ events: [card, other, { ...access('read', 0, 0, 1), card: 2 } as TraceEvent] });
    expect(cards.map(({ name, touched }) => [name, touched])).toEqual([
      ['dut (card 1)', 0],
      ['dut (card 2)', 1],
    ]);
  });
});
