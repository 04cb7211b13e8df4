import { mkdtempSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BoundedLog } from './bounded-log';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'ghostcard-log-'))));
afterEach(() => rmSync(folder, { recursive: true }));

it('a log keeps its beginning and its end when it grows beyond its limit, and nothing of a small one is lost', () => {
  const path = join(folder, 'log');
  const log = new BoundedLog(path);
  const fd = log.open();
  writeSync(fd, 'the cause\n');
  log.bound();
  expect(readFileSync(path, 'utf8')).toBe('the cause\n');
  for (let round = 0; round < 3; round++) {
    writeSync(fd, 'the card is gone\n'.repeat(300_000)); // 5 MB
    log.bound();
    expect(statSync(path).size).toBeLessThan(70_000);
  }
  writeSync(fd, 'the end\n');
  log.close();
  const text = readFileSync(path, 'utf8');
  expect(text).toMatch(/^the cause\nthe card is gone\n[^]*\n\[ghostcard: \d+ bytes are left out here\]\nthe end\n$/);
});
