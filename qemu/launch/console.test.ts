import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuestConsole } from './console';
import { until } from '../../test/support/launch/processes';

let folder: string;
let path: string;
let lines: string[];
let fatalCalls: number;
let console: GuestConsole;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'console-'));
  path = join(folder, 'console.log');
  lines = [];
  fatalCalls = 0;
  console = new GuestConsole(path, { onLine: (line) => lines.push(line), onFatal: () => fatalCalls++ });
});
afterEach(() => {
  console.finish();
  rmSync(folder, { recursive: true });
});
const write = (text: string | Buffer) => appendFileSync(path, text);

describe('guest console', () => {
  it('reports lines as they are written', async () => {
    write('one\r\ntwo\r\nthr');
    await until('two lines have come', () => lines.length === 2);
    write('ee\r\n');
    await until('the third has come', () => lines.length === 3);
    expect(lines).toEqual(['one', 'two', 'three']);
  });

  it('reports an unfinished line at the end', () => {
    write('login: ');
    console.finish();
    expect(lines).toEqual(['login: ']);
  });

  it('joins characters that are split across writes, and strips colours', () => {
    const euro = Buffer.from('\x1b[1;31m€\x1b[0m\r\n');
    write(euro.subarray(0, 8));
    console.read();
    write(euro.subarray(8));
    console.read();
    expect(lines).toEqual(['€']);
  });

  it('keeps the last lines', () => {
    for (let i = 0; i < 1200; i++) write(`line ${i}\n`);
    console.read();
    expect(console.tail(2)).toEqual(['line 1198', 'line 1199']);
    expect(console.tail()).toHaveLength(1000);
  });

  it('quotes a kernel panic from its first line on, and reports it once', () => {
    write('[    1.0] booting\n');
    console.read();
    expect(console.panic).toBeUndefined();
    write('[    2.0] Oops: 0000 [#1]\n[    2.1] Call Trace:\n[    2.2] Kernel panic - not syncing: Fatal exception\n');
    console.read();
    expect(console.panic).toEqual({
      reason: 'Oops: 0000 [#1]',
      quote: [
        '[    2.0] Oops: 0000 [#1]',
        '[    2.1] Call Trace:',
        '[    2.2] Kernel panic - not syncing: Fatal exception',
      ],
    });
    expect(fatalCalls).toBe(1);
  });
});
