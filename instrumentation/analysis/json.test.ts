import { expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent } from '../trace';
import { eventToJson, TraceCards } from '.';
import { at, describing } from '../../test/support/traces';

const MAP = registerMap({
  STATUS: { offset: 0, access: 'ro', fields: { BUSY: [0], CODE: { bits: [3, 1], values: { BROKEN: 5 } } } },
  ADDRESS: { offset: 8, width: 64, access: 'rw', reset: 0xffff_ffff_ffff_ffffn, fields: { ALL: [63, 0] } },
});
const card: TraceEvent = { ...at(0), kind: 'card', description: describing('dut', MAP) };
const asJson = (event: TraceEvent): unknown => JSON.parse(JSON.stringify(eventToJson(event, TraceCards.of([card]))));

it('an access of a register has its name, value and fields', () => {
  expect(asJson({ ...at(5), kind: 'read', region: 0, offset: 0, data: Uint8Array.of(0x0b, 0, 0, 0) })).toEqual({
    ...{ kind: 'read', card: 1, timeNs: 5, hostNs: 5, region: 0, offset: 0, data: '0b000000' },
    ...{ register: 'STATUS', value: '0xb', fields: { BUSY: 1, CODE: 'BROKEN' } },
    text: 'read STATUS 0x0000000b (BUSY=1, CODE=BROKEN)',
  });
});

it('values that numbers cannot hold are hexadecimal text', () => {
  const data = new Uint8Array(8).fill(0xff);
  expect(asJson({ ...at(5), kind: 'write', region: 0, offset: 8, data })).toMatchObject({
    fields: { ALL: '0xffffffffffffffff' },
  });
  const { description } = asJson(card) as { description: { registers: { registers: { reset: string }[] }[] } };
  expect(description.registers[0]!.registers[1]!.reset).toBe('0xffffffffffffffff');
});

it('an access of a part of a register has bytes only', () => {
  const event = asJson({ ...at(5), kind: 'read', region: 0, offset: 1, data: Uint8Array.of(1) });
  expect(event).not.toHaveProperty('register');
  expect(event).toMatchObject({ data: '01', text: 'read STATUS + 1 0x01 (1 byte)' });
});

it('payloads of DMA are hexadecimal text', () => {
  const dma = { channel: 'A', role: 'data', iova: 0, sizeBytes: 2, data: Uint8Array.of(0xab, 1) } as const;
  expect(asJson({ ...at(0), kind: 'dma-write', ...dma })).toMatchObject({ channel: 'A', data: 'ab01' });
});
