/** Texts in a recording are whatever a driver, a process or a card has said: none of them reaches the terminal as a command to it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REFERENCE_REGISTERS } from '../../../emulator/cards/reference';
import { type TraceEvent, writeTrace } from '../../../instrumentation/trace';
import { printed, useFolder } from '../../../test/support/trace-command';
import { at, describing } from '../../../test/support/traces';

const folder = useFolder();
const HOSTILE = '\x1b]0;owned\x07\x9b2J\x7f\n         0.000 us  read FAKE\r\u202eesrever\u2066';
const ESCAPED = '\\u001b]0;owned\\u0007\\u009b2J\\u007f\\n         0.000 us  read FAKE\\r\\u202eesrever\\u2066';
/** Beside line ends. */
const UNPRINTABLE = /[^\P{Cc}\n]|\p{Bidi_Control}/u;

function recorded(name = 'run.trace'): string {
  const path = join(folder.path, name);
  const plain = describing(HOSTILE, REFERENCE_REGISTERS);
  const [space] = plain.registers;
  const registers = [
    { ...space!, registers: space!.registers.map((register) => ({ ...register, path: register.path + HOSTILE })) },
  ];
  const description = { ...plain, model: HOSTILE, registers, faults: [{ fault: HOSTILE }] };
  const dma = { channel: HOSTILE, role: 'data', iova: 0, sizeBytes: 4, data: new Uint8Array(4) } as const;
  const place = { pid: 7, process: HOSTILE, address: '0x1' };
  const events: TraceEvent[] = [
    { kind: 'card', ...at(0), description },
    { kind: 'place', ...at(0, 0), place: 1, ...place, name: HOSTILE },
    { kind: 'place', ...at(0, 0), place: 2, ...place },
    { kind: 'write', ...at(1), region: 0, offset: 0, data: new Uint8Array(4) },
    { kind: 'origin', ...at(1), place: 1 },
    { kind: 'dma-read', ...at(2), ...dma },
    { kind: 'written', ...at(2), pieces: [{ offset: 0, end: 4, sizeBytes: 4, place: 2 }] },
    { kind: 'dma-write', ...at(3), ...dma, error: HOSTILE as 'unmapped' },
    { kind: 'state', ...at(4), part: HOSTILE, state: HOSTILE },
    { kind: 'state', ...at(4), part: HOSTILE, state: `halted: NOT_OWNED ${HOSTILE}` },
    { kind: 'fault', ...at(5), fault: HOSTILE, what: HOSTILE },
    { kind: 'mark', ...at(6, 0), from: 'guest', text: HOSTILE },
    { kind: 'notice', ...at(7), text: HOSTILE },
    { kind: 'end', ...at(8, 0) },
  ];
  const header = { format: 'ghostcard-trace', version: 1, payloads: 'full', lostEvents: 0 } as const;
  writeTrace(path, { header: { ...header, writer: HOSTILE, startedAt: HOSTILE }, events });
  return path;
}

describe('texts of a recording that a terminal would obey', () => {
  it.each([
    [['show'], '\n                   guest mark '],
    [['show', '--provenance', '--all'], 'written by '],
    [['stats', '--all'], 'halted once: NOT_OWNED'],
    [['coverage', '--fields', '--config'], ': 1 of '],
  ])('are escaped by %j', async ([command, ...options], context) => {
    const text = await printed(command!, recorded(), ...options);
    expect(text).not.toMatch(UNPRINTABLE);
    expect(text).not.toMatch(/^ +0\.000 us {2}read FAKE/m);
    expect(text).toContain(context);
    expect(text).toContain(ESCAPED);
  });

  it('are escaped by diff', async () => {
    const [a, b] = [recorded('a.trace'), recorded('b.trace')];
    const { header } = { header: { format: 'ghostcard-trace', version: 1, payloads: 'full', lostEvents: 0 } as const };
    writeTrace(b, { header: { ...header, writer: '', startedAt: '' }, events: [{ kind: 'end', ...at(8, 0) }] });
    const text = await printed('diff', a, b);
    expect(text).toContain('then they differ');
    expect(text).toContain(ESCAPED);
    expect(text).not.toMatch(UNPRINTABLE);
  });

  it.each([
    ['show', 'JSON lines'],
    ['stats', 'JSON'],
    ['coverage', 'JSON'],
  ])('are escaped by %s --json, in %s with the same meaning', async (command, form) => {
    const text = await printed(command, recorded(), '--json');
    expect(text).not.toMatch(UNPRINTABLE);
    if (form === 'JSON') return void JSON.parse(text);
    const objects = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Partial<TraceEvent>);
    expect(objects.find(({ kind }) => kind === 'state')).toMatchObject({ part: HOSTILE, state: HOSTILE });
  });

  it.each(['vcd', 'perfetto', 'html'] as const)('are no more than text in an export as %s', async (format) => {
    const output = join(folder.path, 'output');
    await printed('export', recorded(), '--format', format, '--output', output);
    const text = readFileSync(output, 'utf8');
    expect(text).not.toMatch(/\x1b|\x07|\u202e/);
    if (format === 'perfetto') JSON.parse(text);
  });
});
