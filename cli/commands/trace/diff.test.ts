import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { printed, record, useFolder } from '../../../test/support/trace-command';

const folder = useFolder();
afterEach(() => void (process.exitCode = undefined));

function recorded(name: string, transfers: number): string {
  const file = join(folder.path, name);
  record(file, { transfers })[Symbol.dispose]();
  return file;
}

describe('ghostcard trace diff', () => {
  it('says that runs are the same, with exit code 0', async () => {
    const text = await printed('diff', recorded('a.trace', 3), recorded('b.trace', 3));
    expect(text).toMatch(/^the runs are the same: \d+ events\n# not compared: times/);
    expect(text).toContain('# left out: reads that repeat those before, 6 and 6\n');
    expect(process.exitCode).toBeUndefined();
    expect(await printed('diff', join(folder.path, 'a.trace'), join(folder.path, 'b.trace'), '--strict')).toContain(
      'same',
    );
  });

  it('prints the first difference with its context, and exits with 1', async () => {
    const [a, b] = [recorded('a.trace', 2), recorded('b.trace', 3)];
    const text = await printed('diff', a, b, '--context', '2');
    expect(text).toMatch(/^the runs are the same for \d+ events of the driver, then they differ\n/);
    expect(text.split(`\n${b}:\n`)[1]!.split('\n')[2]).toMatch(/^> +3\.000 us {2}write H2C\[0\]\.DOORBELL 0x00000003/);
    expect(text.split(`\n${a}:\n`)[1]!.split('\n')[2]).toMatch(/^> +host mark done$/);
    expect(process.exitCode).toBe(1);
  });

  it('does not compare what --ignore names', async () => {
    const [a, b] = [recorded('a.trace', 2), recorded('b.trace', 3)];
    const { difference } = JSON.parse(await printed('diff', a, b, '--json', '--ignore', '*'));
    expect(difference.lane).toBe('card'); // no access of the driver is left to compare
    await expect(printed('diff', a, b, '--ignore', 'H2C[*].DORBELL')).rejects.toThrow(
      "--ignore H2C[*].DORBELL: the recording has no register or field 'H2C[*].DORBELL'; the nearest are H2C[0].DOORBELL",
    );
    await expect(printed('diff', a, `${b}.not`)).rejects.toThrow('there is no such file');
  });
});
