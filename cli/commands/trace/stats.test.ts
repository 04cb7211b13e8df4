import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { traceStats } from '../../../instrumentation/analysis';
import { readTrace } from '../../../instrumentation/trace';
import { printed, record, useFolder } from '../../../test/support/trace-command';

const folder = useFolder();

function recorded(transfers: number): string {
  const file = join(folder.path, 'run.trace');
  using run = record(file, { transfers });
  run.clock.advance(1000);
  run.driver.submit({ hostAddress: 0xdead_0000, lengthBytes: 64, interrupt: true });
  run.clock.advance(1000);
  return file;
}
/** What a table has in the row that begins like this. */
const row = (text: string, first: string): string[] =>
  (text.split('\n').find((line) => line.startsWith(`${first} `)) ?? '').trim().split(/ {2,}/);

describe('ghostcard trace stats', () => {
  it('prints what happened by kind, register, channel and vector', async () => {
    const text = await printed('stats', recorded(20));
    expect(row(text, 'H2C[0].STATUS').slice(0, 3)).toEqual(['H2C[0].STATUS', '60', '0']);
    expect(row(text, 'H2C[0].DOORBELL').slice(0, 3)).toEqual(['H2C[0].DOORBELL', '0', '21']);
    expect(row(text, 'mark').slice(0, 2)).toEqual(['mark', '1']);
    expect(row(text, 'H2C0')[1]).toBe('41'); // 21 descriptors, 20 payloads
    expect(row(text, 'H2C0').at(-1)).toBe('1');
    expect(text).toContain('DMA of H2C0 was refused once: unmapped, first at 0xdead0000\n');
    expect(row(text, 'MSI-X vector 0').slice(1, 3)).toEqual(['21', '21']);
    expect(text).toMatch(/^H2C0 +device +21 +0 ns/m);
    expect(text).toMatch(/^and \d+ others \(--all\)$/m);
  });

  it('refuses a pattern of doorbells that means no register', async () => {
    await expect(printed('stats', recorded(1), '--doorbells', '*DORBELL')).rejects.toThrow(
      "--doorbells *DORBELL: the recording has no register or field '*DORBELL'; the nearest are ",
    );
  });

  it('prints all registers when asked, and JSON', async () => {
    const file = recorded(1);
    expect(await printed('stats', file, '--all')).not.toContain('others');
    const { notSeen, ...stats } = JSON.parse(await printed('stats', file, '--json'));
    expect(stats).toEqual(JSON.parse(JSON.stringify(traceStats(readTrace(file)))));
    expect(notSeen).toEqual([]);
  });
});
