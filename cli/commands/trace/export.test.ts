import { linkSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportPerfetto, exportVcd } from '../../../instrumentation/analysis';
import { exportHtml } from '../../../instrumentation/report';
import { readTrace } from '../../../instrumentation/trace';
import { printed, record, useFolder } from '../../../test/support/trace-command';

const folder = useFolder();
const inFolder = (name: string): string => join(folder.path, name);

describe('ghostcard trace export', () => {
  it.each([
    ['vcd', exportVcd],
    ['perfetto', exportPerfetto],
  ])('writes a file: %s', async (format, expected) => {
    const file = inFolder('run.trace');
    record(file, { transfers: 300 })[Symbol.dispose]();
    for (const time of ['device', 'host'] as const) {
      await printed('export', file, '--format', format, '--output', inFolder('out'), '--time', time);
      expect(readFileSync(inFolder('out'), 'utf8')).toBe(expected(readTrace(file), { time }));
    }
  });

  it('writes an HTML page', async () => {
    const file = inFolder('run.trace');
    record(file)[Symbol.dispose]();
    await printed('export', file, '--format', 'html', '--output', inFolder('report.html'));
    expect(readFileSync(inFolder('report.html'), 'utf8')).toBe(exportHtml(readTrace(file)));
    await expect(
      printed('export', file, '--format', 'html', '--output', inFolder('x'), '--time', 'host'),
    ).rejects.toThrow('the page shows both times');
  });

  it.each([
    ['the file', (file: string) => file],
    ['a symbolic link', (file: string, link: string) => (symlinkSync(file, link), link)],
    ['a hard link', (file: string, link: string) => (linkSync(file, link), link)],
  ])('does not overwrite the recording that it reads: %s', async (_, named) => {
    const file = inFolder('run.trace');
    record(file)[Symbol.dispose]();
    const before = readFileSync(file);
    const output = named(file, inFolder('link'));
    await expect(printed('export', file, '--format', 'vcd', '--output', output)).rejects.toThrow(
      /that is the recording itself.*choose another name/,
    );
    expect(readFileSync(file)).toEqual(before);
  });

  it('reports what is wrong with its arguments', async () => {
    const file = inFolder('run.trace');
    record(file)[Symbol.dispose]();
    const output = inFolder('not/there');
    await expect(printed('export', file, '--format', 'vcd', '--output', output)).rejects.toThrow(
      `--output ${output}: it cannot be written: its folder does not exist: make it first, or name another`,
    );
    await expect(printed('export', file, '--format', 'vcd', '--output', folder.path)).rejects.toThrow(
      'it is a folder: name a file in it',
    );
    await expect(printed('export', file, '--format', 'vcd', '--output', join(file, 'x'))).rejects.toThrow(
      'what should be its folder is a file',
    );
    await expect(printed('export', file, '--output', output)).rejects.toThrow('--format');
    await expect(printed('export', inFolder('none'), '--format', 'vcd', '--output', output)).rejects.toThrow(
      'there is no such file',
    );
  });
});
