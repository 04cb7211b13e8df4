import { describe, expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent, type TraceHeader } from '../trace';
import { exportVcd } from '.';
import { at, describing } from '../../test/support/traces';

const MAP = registerMap({
  CH: {
    offset: 0,
    stride: 4,
    count: 2,
    registers: { STATUS: { offset: 0, access: 'ro', fields: { BUSY: [0], CODE: [3, 1] } } },
  },
});
const header: TraceHeader = {
  ...{ format: 'ghostcard-trace', version: 1, writer: '0.1.0', startedAt: '2026-01-01T00:00:00.000Z' },
  ...{ payloads: 'full', lostEvents: 0 },
};
const card: TraceEvent = { ...at(0), kind: 'card', description: describing('dut', MAP) };
const read = (timeNs: number, value: number, sizeBytes = 4): TraceEvent => ({
  ...at(timeNs),
  ...{ kind: 'read', region: 0, offset: 4, data: Uint8Array.from([value, 0, 0, 0].slice(0, sizeBytes)) },
});
const dma = (timeNs: number, iova: number): TraceEvent => ({
  ...at(timeNs),
  ...{ kind: 'dma-write', channel: 'H2C0', role: 'data', iova, sizeBytes: 64 },
});
const interrupt = (timeNs: number, index: number, phase: 'raised' | 'lowered' | 'sent'): TraceEvent => ({
  ...at(timeNs),
  ...{ kind: 'interrupt', phase, index, vector: 0 },
});
const lines = (events: TraceEvent[], options = {}): string[] =>
  exportVcd({ header, events: [card, ...events] }, options)
    .trimEnd()
    .split('\n');
/** The changes, signals by their names: `#1000 dut.dma.H2C0.busy=1`. */
function changes(events: TraceEvent[], options = {}): string[] {
  const names = new Map<string, string>();
  const scopes: string[] = [];
  const shown: string[] = [];
  let time = '';
  for (const line of lines(events, options)) {
    const [word, ...rest] = line.split(' ');
    if (word === '$scope') scopes.push(rest[1]!);
    else if (word === '$upscope') scopes.pop();
    else if (word === '$var') names.set(rest[2]!, [...scopes, rest[3]].join('.'));
    else if (word?.startsWith('#')) time = word;
    else if (!word?.startsWith('$') && names.size > 0) {
      const [value, code] = rest.length > 0 ? [word!.slice(1), rest[0]!] : [word![0]!, word!.slice(1)];
      shown.push(`${time} ${names.get(code)}=${value}`);
    }
  }
  return shown;
}

describe('a value change dump', () => {
  it('has registers with their fields, blocks of an array as scopes of their own', () => {
    expect(changes([read(5, 0b0111)])).toEqual([
      '#5000 dut.registers.CH_1.STATUS.read=1',
      '#5000 dut.registers.CH_1.STATUS.value=111',
      '#5000 dut.registers.CH_1.STATUS.BUSY=1',
      '#5000 dut.registers.CH_1.STATUS.CODE=11',
    ]);
    expect(lines([read(5, 0)])).toContain('$var wire 3 $ CODE [2:0] $end');
  });

  it('takes nothing from an access of a part of a register but that it was', () => {
    expect(changes([read(5, 1, 2)])).toEqual(['#5000 dut.registers.CH_1.STATUS.read=1']);
  });

  it('has DMA by channel, which is busy until the reaction ends, and repeats no unchanged values', () => {
    expect(changes([dma(1, 0x10), dma(1, 0x20), read(9, 0)]).filter((line) => line.includes('dma'))).toEqual([
      '#0 dut.dma.H2C0.busy=0',
      ...['busy=1', 'address=10000', 'bytes=1000000', 'role=data', 'write=1'].map((end) => `#1000 dut.dma.H2C0.${end}`),
      ...['address=100000', 'write=1'].map((end) => `#1001 dut.dma.H2C0.${end}`),
      '#1002 dut.dma.H2C0.busy=0',
    ]);
  });

  it('has the level of the line, and messages as events', () => {
    const events = [interrupt(1, 0, 'raised'), interrupt(1, 0, 'sent'), interrupt(2, 0, 'lowered')];
    expect(changes([...events, interrupt(3, 2, 'raised'), interrupt(3, 2, 'sent')])).toEqual([
      '#0 dut.interrupts.INTx.level=0',
      '#1000 dut.interrupts.INTx.level=1',
      '#1001 dut.interrupts.INTx.sent=1',
      '#2000 dut.interrupts.INTx.level=0',
      '#3000 dut.interrupts.MSIX_0.raised=1',
      '#3001 dut.interrupts.MSIX_0.sent=1',
    ]);
  });

  it('has states, resets and marks as words', () => {
    const state: TraceEvent = { ...at(1), kind: 'state', part: 'bus master', state: 'on' };
    const mark: TraceEvent = { card: 0, timeNs: 0, hostNs: 7, kind: 'mark', from: 'host', text: 'step 2: go' };
    expect(changes([state, mark])).toEqual([
      '#1000 dut.state.bus_master=on',
      '#1001 run.mark=1',
      '#1001 run.mark_text=step_2:_go',
    ]);
  });

  it('has rising times only, whatever happens at one instant', () => {
    const events = Array.from({ length: 3000 }, (_, i) => read(Math.floor(i / 1500), i & 0xff));
    const times = lines(events)
      .filter((line) => line.startsWith('#'))
      .map((line) => Number(line.slice(1)));
    expect(times.every((time, i) => i === 0 || time > times[i - 1]!)).toBe(true);
    expect(times.at(-1)).toBe(3000);
  });

  it('takes the time of the host when asked, and for several cards', () => {
    const event = { ...read(5, 0), hostNs: 70 } as TraceEvent;
    expect(changes([event], { time: 'host' })[0]).toMatch(/^#70000 /);
    const second = { ...card, card: 2 } as TraceEvent;
    expect(changes([second, event])[0]).toMatch(/^#70000 dut_1\./);
  });
});
