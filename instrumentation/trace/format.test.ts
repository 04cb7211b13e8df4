/** Bytes of version 1 of the format: what an earlier ghostcard wrote can be read, and an earlier one reads what we write. */
import { decode } from 'msgpack-lite';
import { describe, expect, it } from 'vitest';
import { type CardDescription } from './card-description';
import { type TraceEvent } from './event';
import { EventBlock } from './event-block';
import { encodeHeader, eventOf, type TraceHeader } from './format';
import { TRACE_EVENT_KINDS } from './kinds';

const stamp = { card: 1, timeNs: 1500, hostNs: 0x2_0000_0000 };
const whole = { card: 0, timeNs: 0, hostNs: 0.5 };
const register = {
  ...({ name: 'A', path: 'A', offset: 0, width: 64, access: 'rw', reset: 2n ** 63n, doc: '', fields: [] } as const),
};
const description: CardDescription = {
  ...{ name: 'dut', model: 'TestCard', vendorId: 0x1234, deviceId: 0xab, vectors: [1, 1, 8], faults: [{ fault: 'x' }] },
  ...{ regions: [{ sizeBytes: 4096 }], memory: [{ region: 0, offset: 2048, sizeBytes: 64 }] },
  windows: [{ region: 0, offset: 2048, sizeBytes: 64, isSeen: false }],
  registers: [{ name: '', region: 0, offset: 0, registers: [register] }],
};

/** An array 32: what a block of events begins with. */
const HEAD_BYTES = 5;

const SAMPLES: readonly (readonly [bytes: string, event: TraceEvent])[] = [
  [
    '950001cd05dccb42000000000000008aa46e616d65a3647574a56d6f64656ca85465737443617264a876656e646f724964cd1234a86465766963654964ccaba7766563746f727393010108a66661756c74739181a56661756c74a178a7726567696f6e739181a973697a654279746573cd1000a66d656d6f72799183a6726567696f6e00a66f6666736574cd0800a973697a65427974657340a777696e646f77739184a6726567696f6e00a66f6666736574cd0800a973697a65427974657340a669735365656ec2a97265676973746572739184a46e616d65a0a6726567696f6e00a66f666673657400a97265676973746572739188a46e616d65a141a470617468a141a66f666673657400a5776964746840a6616363657373a27277a57265736574b038303030303030303030303030303030a3646f63a0a66669656c647390',
    { kind: 'card', ...stamp, description },
  ],
  [
    '980101cb4097700000000000cb420000000000000000ce0000100004ce04030201',
    { kind: 'read', ...stamp, region: 0, offset: 0x1000, data: Uint8Array.of(1, 2, 3, 4) },
  ],
  [
    '980201cb4097700000000000cb420000000000000007ce0000000402ce0000ff06',
    { kind: 'write', ...stamp, region: 7, offset: 4, data: Uint8Array.of(6, 0xff) },
  ],
  [
    '980201cd05dccb420000000000000002cb41f000000000000004ce80000001',
    { kind: 'write', ...stamp, region: 2, offset: 2 ** 32, data: Uint8Array.of(1, 0, 0, 0x80) },
  ],
  [
    '9801cd00c8cd05dccb420000000000000002cd012c0109',
    { kind: 'read', ...stamp, card: 200, region: 2, offset: 300, data: Uint8Array.of(9) },
  ],
  [
    '980101cd05dccb420000000000000001ce0001234508c6000000080807060504030201',
    { kind: 'read', ...stamp, region: 1, offset: 0x12345, data: Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1) },
  ],
  [
    '9b0301cd05dccb4200000000000000a448324330aa64657363726970746f72cd100003c600000003010203c0c2',
    {
      ...{ kind: 'dma-read', ...stamp, channel: 'H2C0', role: 'descriptor', iova: 0x1000, sizeBytes: 3 },
      data: Uint8Array.of(1, 2, 3),
    },
  ],
  [
    '9b0401cd05dccb4200000000000000a0a56f74686572cb4270000000000000ce00011170b066356135666434326431366132303330c0c2',
    {
      ...{ kind: 'dma-write', ...stamp, channel: '', role: 'other', iova: 2 ** 40, sizeBytes: 70_000 },
      hash: 'f5a5fd42d16a2030',
    },
  ],
  [
    '9b0401cd05dccb4200000000000000a141aa77726974652d6261636b0004c0c0c2',
    { kind: 'dma-write', ...stamp, channel: 'A', role: 'write-back', iova: 0, sizeBytes: 4 },
  ],
  [
    '9b0301cd05dccb4200000000000000db00000023746865207365636f6e6420656e67696e65206f66207468652074686972642070616972a4646174610809c0a8756e6d6170706564c3',
    {
      ...{ kind: 'dma-read', ...stamp, channel: 'the second engine of the third pair', role: 'data', iova: 8 },
      ...{ sizeBytes: 9, error: 'unmapped', isAsync: true },
    },
  ],
  [
    '980501cd05dccb420000000000000000cb43f0000000000000c3c2',
    { kind: 'map', ...stamp, iova: 0, sizeBytes: 2 ** 64, readable: true, writable: false },
  ],
  ['960601cd05dccb4200000000000000ce80000000cd1000', { kind: 'unmap', ...stamp, iova: 0x8000_0000, sizeBytes: 4096 }],
  [
    '990701cd05dccb4200000000000000020002a573696e6b7392c3c2',
    { kind: 'irq-setup', ...stamp, index: 2, start: 0, count: 2, action: 'sinks', vectors: [true, false] },
  ],
  [
    '990701cd05dccb4200000000000000010000a774726967676572c0',
    { kind: 'irq-setup', ...stamp, index: 1, start: 0, count: 0, action: 'trigger' },
  ],
  [
    '980801cd05dccb4200000000000000a672616973656402cd012cc0',
    { kind: 'interrupt', ...stamp, phase: 'raised', index: 2, vector: 300 },
  ],
  [
    '980801cd05dccb4200000000000000a468656c640000ad6e6f742d636f6e6e6563746564',
    { kind: 'interrupt', ...stamp, phase: 'held', index: 0, vector: 0, reason: 'not-connected' },
  ],
  ['950901cd05dccb4200000000000000a3666c72', { kind: 'reset', ...stamp, reset: 'flr' }],
  [
    '960a01cd05dccb4200000000000000a448324330a772756e6e696e67',
    { kind: 'state', ...stamp, part: 'H2C0', state: 'running' },
  ],
  ['940b01cd05dccb4200000000000000', { kind: 'task', ...stamp }],
  ['940c01cd05dccb4200000000000000', { kind: 'link-down', ...stamp }],
  ['940d01cd05dccb4200000000000000', { kind: 'connected', ...stamp }],
  ['940e01cd05dccb4200000000000000', { kind: 'disconnected', ...stamp }],
  [
    '960f01cd05dccb4200000000000000a46c617465db0000001368656c64206261636b20666f72203120c2b573',
    { kind: 'fault', ...stamp, fault: 'late', what: 'held back for 1 µs' },
  ],
  [
    '96100000cb3fe0000000000000a56775657374db000000257468652072696e67206f6620746865206669727374206368616e6e656c2069732066756c6c',
    { kind: 'mark', ...whole, from: 'guest', text: 'the ring of the first channel is full' },
  ],
  ['961101cd05dccb4200000000000000a0c0', { kind: 'notice', ...stamp, text: '' }],
  [
    '961101cd05dccb4200000000000000a661207261636584a46b696e64a8646d612d72656164a674696d654e73cd03e8a4696f7661cd1000a973697a65427974657320',
    {
      ...({ kind: 'notice', ...stamp, text: 'a race' } as const),
      dma: { kind: 'dma-read', timeNs: 1000, iova: 0x1000, sizeBytes: 32 },
    },
  ],
  ['94120000cb3fe0000000000000', { kind: 'end', ...whole }],
  ['951501cd05dccb420000000000000003', { kind: 'origin', ...stamp, place: 3 }],
  [
    '99160000cb3fe00000000000000347a6647269766572a83078343031323334af6472697665722e633a352072696e67',
    { kind: 'place', ...whole, place: 3, pid: 71, process: 'driver', address: '0x401234', name: 'driver.c:5 ring' },
  ],
  [
    '99160000cb3fe00000000000000400a0b2307866666666666666663831303030303030c0',
    { kind: 'place', ...whole, place: 4, pid: 0, process: '', address: '0xffffffff81000000' },
  ],
  [
    '951701cd05dccb4200000000000000980004040304cd012cccc800',
    {
      ...({ kind: 'written', ...stamp } as const),
      pieces: [
        { offset: 0, end: 4, sizeBytes: 4, place: 3 },
        { offset: 4, end: 300, sizeBytes: 200, place: 0 },
      ],
    },
  ],
  ['951301cd05dccb42000000000000000c', { kind: 'stale', ...stamp, sizeBytes: 12 }],
  ['941401cd05dccb4200000000000000', { kind: 'nested', ...stamp }],
];

describe('an event in the file', () => {
  it.each(SAMPLES.map(([bytes, event]) => [event.kind, bytes, event] as const))(
    'of kind %s has these bytes',
    (_, hex, event) => {
      const block = new EventBlock();
      block.add(event, event.hostNs);
      const bytes = block.take();
      expect(bytes.subarray(HEAD_BYTES).toString('hex')).toBe(hex);
      const [values] = decode(bytes) as [unknown[]];
      const { event: read, problems } = eventOf(values);
      expect(problems).toEqual([]);
      expect({ ...read, ...('data' in read! && { data: Uint8Array.from(read.data!) }) }).toEqual(event);
      expect(Object.keys(read!)).toEqual(Object.keys(event)); // `trace show --json` has them in this order
    },
  );

  it('of an interrupt is read with the word for its phase that earlier builds wrote', () => {
    const event = [8, 1, 0, 0, 'delivered', 2, 0, null];
    expect(eventOf(event).event).toMatchObject({ kind: 'interrupt', phase: 'sent', vector: 0 });
  });

  it('of a notice is read without what it is about, as earlier builds wrote it', () => {
    expect(eventOf([17, 1, 1500, 0, 'text'])).toEqual({
      event: { kind: 'notice', card: 1, timeNs: 1500, hostNs: 0, text: 'text' },
      ...{ kind: 'notice', problems: [], mayHoldOthers: false },
    });
  });

  it('has a sample of each kind here', () => {
    expect(new Set(SAMPLES.map(([, { kind }]) => kind))).toEqual(new Set(TRACE_EVENT_KINDS));
  });
});

it('the header is the map that readers of all versions know', () => {
  const header: TraceHeader = {
    ...{ format: 'ghostcard-trace', version: 1, writer: '0', startedAt: '', payloads: 'full', lostEvents: 0 },
  };
  expect(encodeHeader(header).toString('hex')).toBe(
    '86a6666f726d6174af67686f7374636172642d7472616365a776657273696f6e01a6777269746572a130a9737461727465644174a0a87061796c6f616473a466756c6caa6c6f73744576656e747300',
  );
});
