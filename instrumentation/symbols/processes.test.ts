/** Records of a guest, as bytes and as what they mean. */
import { describe, expect, test } from 'vitest';
import { type ProcessRecord, ProcessRecordDecoder } from './process-records';
import { Processes } from './processes';

/** Fields of perf_event_open(2): u32, u64, or text of a number of bytes. */
type Field = readonly ['u32' | 'u64', number | bigint] | readonly ['text', string, number];

function record(type: number, misc: number, ...fields: Field[]): Buffer {
  const body = Buffer.concat(
    fields.map(([kind, value, sizeBytes]) => {
      const bytes = Buffer.alloc(sizeBytes ?? (kind === 'u32' ? 4 : 8));
      if (kind === 'text') bytes.write(value);
      else if (kind === 'u32') bytes.writeUInt32LE(Number(value));
      else bytes.writeBigUInt64LE(BigInt(value));
      return bytes;
    }),
  );
  const header = Buffer.alloc(8);
  header.writeUInt32LE(type, 0);
  header.writeUInt16LE(misc, 4);
  header.writeUInt16LE(header.length + body.length, 6);
  return Buffer.concat([header, body]);
}

const of = (pid: number, tid = pid): Field[] => [
  ['u32', pid],
  ['u32', tid],
];
const named = (pid: number, name: string, timeNs: number, isExec = true, tid = pid): Buffer =>
  record(3, isExec ? 1 << 13 : 0, ...of(pid, tid), ['text', name, 16], ['u64', timeNs]);
const forked = (pid: number, parent: number, timeNs: number, tid = pid): Buffer =>
  record(7, 0, ...of(pid, parent), ...of(tid, parent), ['u64', timeNs], ['u64', timeNs]);
const ended = (pid: number, timeNs: number): Buffer =>
  record(4, 0, ...of(pid), ...of(pid), ['u64', timeNs], ['u64', timeNs]);
const mapped = (pid: number, path: string, start: number, timeNs: number): Buffer =>
  Buffer.concat([
    record(65, 0, ['u64', 2], ['u64', 5000], ['u64', 77]),
    record(
      10,
      2,
      ...of(pid),
      ...[start, 0x1000, 0x2000].map((value): Field => ['u64', value]),
      ...[0, 9].map((value): Field => ['u32', value]),
      ...[4, 0].map((value): Field => ['u64', value]),
      ...[5, 2].map((value): Field => ['u32', value]),
      ['text', path, 24],
      ['u64', timeNs],
    ),
  ]);
const reported = (untilNs: number, answers = 0): Buffer => record(64, 0, ['u64', untilNs], ['u64', answers]);

function processesOf(...bytes: Buffer[]): Processes {
  const processes = new Processes();
  for (const each of new ProcessRecordDecoder().decode(Buffer.concat(bytes))) processes.add(each);
  return processes;
}

describe('ProcessRecordDecoder', () => {
  test('decodes records that arrive byte by byte', () => {
    const module = Buffer.from('vfio_pci\nab12\n.text 0xffffffffc0200000\n.init.text 0xffffffffc0300000');
    const stream = Buffer.concat([
      named(7, 'driver', 1),
      mapped(7, '/usr/bin/driver', 0x400000, 2),
      forked(8, 7, 3),
      ended(8, 4),
      record(2, 0, ['u64', 1], ['u64', 12], ['u64', 5]),
      record(66, 0, ['text', module.toString(), module.length]),
      record(17, 0, ['u64', 5]),
      reported(6, 1),
    ]);
    const decoder = new ProcessRecordDecoder();
    const found: ProcessRecord[] = [];
    for (const byte of stream) found.push(...decoder.decode(Uint8Array.of(byte)));
    expect(found).toEqual([
      { kind: 'named', pid: 7, tid: 7, timeNs: 1n, name: 'driver', isExec: true },
      {
        kind: 'mapped',
        pid: 7,
        tid: 7,
        timeNs: 2n,
        mapping: {
          start: 0x400000n,
          sizeBytes: 0x1000n,
          fileOffset: 0x2000n,
          file: { path: '/usr/bin/driver', owner: 'host', sizeBytes: 5000n, modifiedNs: 77n },
        },
      },
      { kind: 'forked', pid: 8, tid: 8, timeNs: 3n, parent: 7 },
      { kind: 'ended', pid: 8, tid: 8, timeNs: 4n },
      { kind: 'lost', count: 12n },
      {
        kind: 'module',
        module: {
          name: 'vfio_pci',
          buildId: 'ab12',
          sections: new Map([
            ['.text', 0xffffffffc0200000n],
            ['.init.text', 0xffffffffc0300000n],
          ]),
        },
      },
      { kind: 'reported', untilNs: 6n, answers: 1 },
    ]);
  });

  test('refuses what is no stream of records', () => {
    expect(() => [...new ProcessRecordDecoder().decode(Buffer.alloc(8))]).toThrow('a record of 0 bytes');
  });
});

describe('Processes', () => {
  const start = [named(7, 'sh', 1), mapped(7, '/bin/sh', 0x1000, 2)];

  test('knows a process that has ended', () => {
    const processes = processesOf(...start, ended(7, 3), reported(9));
    expect(processes.at(7, 0x1800n)).toMatchObject({ pid: 7, name: 'sh', mapping: { file: { path: '/bin/sh' } } });
    expect(processes.at(7, 0x2000n)).toEqual({ pid: 7, name: 'sh', mapping: undefined });
    expect(processes.at(8, 0x1800n)).toBeUndefined();
  });

  test('gives a child the mappings of its parent until it runs a program of its own', () => {
    const child = [forked(8, 7, 3), named(8, 'driver', 4), mapped(8, '/bin/driver', 0x1000, 5)];
    const processes = processesOf(...start, forked(9, 7, 3), ...child, reported(9));
    expect(processes.at(9, 0x1800n)).toMatchObject({ name: 'sh', mapping: { file: { path: '/bin/sh' } } });
    expect(processes.at(8, 0x1800n)).toMatchObject({ name: 'driver', mapping: { file: { path: '/bin/driver' } } });
    expect(processes.at(7, 0x1800n)).toMatchObject({ name: 'sh' });
  });

  test('finds code of a program that the process has replaced by another', () => {
    const next = [named(7, 'driver', 4), mapped(7, '/bin/driver', 0x8000, 5)];
    expect(processesOf(...start, ...next, reported(9)).at(7, 0x1800n)).toMatchObject({ name: 'sh' });
  });

  test('takes the later of two mappings of an address', () => {
    const processes = processesOf(...start, mapped(7, '/lib/plugin.so', 0x1000, 5), reported(9));
    expect(processes.at(7, 0x1800n)).toMatchObject({ mapping: { file: { path: '/lib/plugin.so' } } });
  });

  test('takes the identifier of a thread for its process', () => {
    const processes = processesOf(...start, forked(7, 7, 3, 12), named(7, 'worker', 4, false, 12), reported(9));
    expect(processes.at(12, 0x1800n)).toMatchObject({ pid: 7, name: 'sh' });
  });

  test('forgets what had a number before, when it is used again', () => {
    const processes = processesOf(...start, ended(7, 3), named(5, 'init', 3), forked(7, 5, 4), reported(9));
    expect(processes.at(7, 0x1800n)).toEqual({ pid: 7, name: 'init', mapping: undefined });
  });

  test('sorts what processors report one after the other, and waits for what may be missing', () => {
    const child = [named(8, 'driver', 6), mapped(8, '/bin/driver', 0x9000, 7)];
    const parts = [...child, ...start, reported(5), forked(8, 7, 3)];
    expect(processesOf(...parts).at(8, 0x9800n)).toBeUndefined();
    const processes = processesOf(...parts, reported(9));
    expect(processes.at(8, 0x9800n)).toMatchObject({ name: 'driver', mapping: { file: { path: '/bin/driver' } } });
    expect(processes.at(8, 0x1800n)).toMatchObject({ name: 'sh' });
  });

  test('counts the records that the guest has lost', () => {
    expect(processesOf(record(2, 0, ['u64', 1], ['u64', 12], ['u64', 5])).lostRecords).toBe(12n);
  });

  test('forgets the processes that ended first, beyond a number', () => {
    const many = Array.from({ length: 5000 }, (_, index) => index + 10);
    const lives = many.flatMap((pid) => [named(pid, 'cc', 1), ended(pid, 2)]);
    const processes = processesOf(...start, ...lives, reported(9));
    expect(processes.at(10, 0n)).toBeUndefined();
    expect(processes.at(5009, 0n)).toMatchObject({ name: 'cc' });
    expect(processes.at(7, 0n)).toMatchObject({ name: 'sh' });
  });
});
