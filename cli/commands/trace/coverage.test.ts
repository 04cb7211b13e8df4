import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { coverageOf } from '../../../instrumentation/analysis';
import { readTrace } from '../../../instrumentation/trace';
import { printed, record, useFolder } from '../../../test/support/trace-command';

const folder = useFolder();

function recorded(): string {
  const file = join(folder.path, 'run.trace');
  using run = record(file);
  const bar = run.host.bar(0);
  for (let offset = 0x3000; offset < 0x3010; offset += 4) bar.read32(offset);
  bar.write8(0x3100, 1);
  return file;
}

describe('ghostcard trace coverage', () => {
  it('prints what was not accessed, and what is not modelled', async () => {
    const text = await printed('coverage', recorded());
    expect(text).toMatch(/^reference: 7 of \d+ registers accessed \(\d %\)\n\nnever accessed:\n {2}ID\n/);
    expect(text).toContain('\n  H2C[1]: all ');
    expect(text).toContain('\n  H2C[0].CONSUMER_INDEX\n');
    expect(text).toContain('\nnever written:\n  H2C[0].STATUS\n');
    expect(text.split('not modelled:\n')[1]).toBe(
      '  BAR0 + 0x3000 to 0x300f (4 bytes each): 1 read each\n  BAR0 + 0x3100 (1 byte): 1 write\n',
    );
    expect(text).not.toContain('DOORBELL\n');
  });

  it('prints fields and JSON when asked', async () => {
    expect(await printed('coverage', recorded(), '--fields')).toMatch(
      /unchanged since a reset:\n(.*\n)* {2}IRQ_ENABLE\.H2C1\n/,
    );
    const { notSeen, ...coverage } = JSON.parse(await printed('coverage', recorded(), '--json'));
    expect(coverage).toEqual(JSON.parse(JSON.stringify(coverageOf(readTrace(recorded())))));
    expect(notSeen).toEqual([]);
  });
});
