import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { printed, record, useFolder } from '../../../test/support/trace-command';

const folder = useFolder();
const file = (): string => join(folder.path, 'run.trace');
const recorded = (options: Parameters<typeof record>[1] = {}): string => {
  record(file(), options)[Symbol.dispose]();
  return file();
};
const lines = (text: string): string[] => text.trimEnd().split('\n');
/** Without times and comments. */
const events = (text: string): string[] =>
  lines(text)
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.slice(19));

/** Of a process, on a busy machine. */
const STARTING_MS = 60_000;

describe('ghostcard trace show', () => {
  it('prints events with their device time, and says where they come from', async () => {
    const text = await printed('show', recorded());
    expect(lines(text)[0]).toMatch(/^# .*run\.trace: recorded by ghostcard \d+\.\d+\.\d+, begun \d{4}-/);
    expect(text).toContain('         1.000 us  write H2C[0].DOORBELL 0x00000001 (PRODUCER=1)\n');
    expect(text).toContain('         1.000 us  interrupt sent MSI-X vector 0\n');
    expect(text).toContain(`\n${' '.repeat(19)}host mark done\n`);
  });

  it('prints what docs/tracing.md shows', async () => {
    const document = readFileSync(join(__dirname, '../../../docs/tracing.md'), 'utf8');
    const shown = /^```text\n( +1\.000 us  write H2C\[0\]\.DOORBELL.*?)^```$/ms.exec(document)?.[1];
    expect(await printed('show', recorded(), '--without-config')).toContain(shown);
  });

  it('says with each access who did it, by names that come later', async () => {
    const { recorder, driver, [Symbol.dispose]: end } = record(file());
    const place = { kind: 'place', card: 0, timeNs: 0, place: 1, pid: 71, process: 'driver', address: '0x1' } as const;
    driver.registers.read('ID');
    recorder.record(place);
    recorder.record({ kind: 'origin', card: 1, timeNs: 0, place: 1 });
    recorder.record({ ...place, name: 'driver.c:5 ring' });
    end();
    expect(events(await printed('show', file(), '--register', 'ID'))).toEqual([
      'read ID 0x47484331  by driver.c:5 ring (driver, process 71)',
    ]);
  });

  it('says under DMA who wrote what was read, and which doorbell it came from, when asked', async () => {
    const { recorder, driver, card, clock, [Symbol.dispose]: end } = record(file());
    recorder.record({
      ...({ kind: 'place', card: 0, timeNs: 0, place: 1, pid: 71, process: 'driver', address: '0x1' } as const),
      name: 'driver.c:5 put',
    });
    card.inspection.events.subscribe((event) => {
      if (event.kind !== 'dma-read' || event.role !== 'descriptor') return;
      recorder.record({
        kind: 'written',
        card: 1,
        timeNs: 0,
        pieces: [{ offset: 0, end: 32, sizeBytes: 32, place: 1 }],
      });
    });
    driver.submit({ hostAddress: 0x10_0240, lengthBytes: 64, interrupt: true });
    clock.advance(1000);
    end();
    const dma = ['--channel', 'H2C0', '--kind', 'dma', '--last', '8'];
    const shown = events(await printed('show', file(), ...dma, '--provenance')).join('\n');
    expect(shown).toContain(`STATUS=0\n    32 bytes at 0x100020, written by driver.c:5 put (driver, process 71)\n`);
    expect(shown).toMatch(
      /\nDMA writes 4 bytes at 0x100020 .*\n {4}from the descriptor of 32 bytes at 0x100020, started by H2C\[0\]\.DOORBELL 0x00000002 \(PRODUCER=2\)\n/,
    );
    expect(await printed('show', file(), ...dma)).not.toMatch(/written|started/);
  });

  it('prints repetitions once, and each of them with --all', async () => {
    const polls = ['--register', 'H2C[0].STATUS'];
    expect(events(await printed('show', recorded(), ...polls))).toEqual([
      'read H2C[0].STATUS 0x00000000',
      '… 2 times more',
    ]);
    expect(events(await printed('show', file(), ...polls, '--all'))).toHaveLength(3);
  });

  it('prints only the selected events', async () => {
    const text = await printed('show', recorded(), '--channel', 'H2C0', '--kind', 'dma-write', '--from', '1us');
    expect(events(text)).toHaveLength(6);
    expect(events(text)[0]).toMatch(/^DMA writes 4 bytes at 0x\w+ \(H2C0, descriptor\): TRANSFERRED=0x40$/);
    expect(events(await printed('show', file(), '--address', 'bar0:0x104'))).toEqual([
      'write IRQ_ENABLE 0x00000001 (H2C0=1)',
    ]);
    expect(await printed('show', file(), '--without-config')).not.toContain('config:');
  });

  it('prints the last lines only', async () => {
    const all = lines(await printed('show', recorded({ transfers: 50 })));
    expect(lines(await printed('show', file(), '--last', '7')).slice(1)).toEqual(all.slice(-7));
  });

  it('prints JSON: a header, an object for each event, and a summary', async () => {
    const objects = lines(await printed('show', recorded(), '--json', '--kind', 'interrupt')).map(
      (line) => JSON.parse(line) as { kind: string },
    );
    expect(objects.map(({ kind }) => kind)).toEqual(['header', 'interrupt', 'interrupt', 'summary']);
    expect(objects[1]).toMatchObject({ phase: 'raised', index: 2, vector: 0, card: 1 });
    expect(objects[3]).toEqual({ kind: 'summary', isEnded: true, notSeen: [] });
  });

  it('warns of a recording without an end', async () => {
    truncateSync(recorded(), 4000);
    expect(lines(await printed('show', file())).at(-1)).toContain('# it has no end: the run was killed');
  });

  it('follows a recording that goes on, to its end', async () => {
    using run = record(file());
    run.recorder.flush();
    const shown = printed('show', file(), '--follow', '--last', '1');
    run.recorder.mark('later');
    run.recorder.close();
    expect(events(await shown).slice(-2)).toEqual(['host mark later', 'end of the recording']);
  });

  it('follows a ring, which alternates between two files', async () => {
    using run = record(file(), { ringBytes: 64 << 10 });
    run.recorder.flush();
    const shown = printed('show', file(), '--follow', '--kind', 'mark', '--all');
    for (let i = 0; i < 3000; i++) run.recorder.mark(`mark ${i} ${'.'.repeat(64)}`);
    run.recorder.close();
    const text = await shown;
    expect(text).toContain('host mark mark 2999 .');
    const marks = events(text).filter((line) => line.startsWith('host mark mark')).length;
    const [, gone = '0'] = /^# (\d+) events were overwritten before they could be read$/m.exec(text) ?? [];
    expect(marks + Number(gone)).toBe(3000);
  });

  it('ends when its reader ends', { timeout: STARTING_MS }, async () => {
    const cli = join(__dirname, '..', '..', '..', 'cli', 'ghostcard.js');
    const show = `"${process.execPath}" "${cli}" trace show --all "${recorded({ transfers: 300 })}"`;
    const { stdout } = await execa('bash', ['-c', `${show} | head -n 1; echo \${PIPESTATUS[0]}`]);
    expect(lines(stdout)[1]).toBe('141');
  });

  it.each([
    [
      ['--register', 'DORBELL'],
      "--register DORBELL: the recording has no register or field 'DORBELL'; the nearest are ",
    ],
    [['--card', 'nope'], '--card nope: no card has this name or number; there are 1 (reference)'],
    [['--channel', 'X9'], '--channel X9: the recording has no channel of this name; the nearest are H2C0, '],
    [['--channel', 'H2C*', '--channel', 'X*'], '--channel X*: the recording has no channel'],
    [['--from', '2s', '--to', '1s'], '--from is after --to: nothing is between them'],
    [['--kind', 'writes'], "There is no kind 'writes'; there are access, dma, card, read, write"],
    [['--from', '15'], 'It must be a time with a unit (ns, us, ms, s), such as 1.5ms.'],
    [['--address', 'bar9:0'], 'It must be an address or a range, 0x1000, 0x1000-0x1fff or 0x1000+64'],
    [['--address', '0x20-0x10'], 'It must be an address or a range'],
    [['--last', '0'], 'It must be a whole number from 1 to'],
  ])('refuses %j and says what is wrong', async (args, message) => {
    await expect(printed('show', recorded(), ...args)).rejects.toThrow(message);
  });

  it('refuses a file that is no recording', async () => {
    writeFileSync(file(), '');
    appendFileSync(file(), 'something else');
    await expect(printed('show', file())).rejects.toThrow('is not a ghostcard trace');
    await expect(printed('show', `${file()}.not`)).rejects.toThrow('there is no such file');
    await expect(printed('show', folder.path)).rejects.toThrow('is a folder: name the file in it');
  });
});
