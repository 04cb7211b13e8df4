import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockHolder } from '../../../test/support/lock-holder';
import { withLock, tryLock } from './lock';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-lock-'));
  file = path.join(folder, 'lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A promise with its resolver. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

test('the second run waits for the first and learns who holds the lock', async () => {
  const [entered, release] = [gate(), gate()];
  const order: string[] = [];
  const first = withLock(file, { tryLock }, async () => {
    entered.open();
    await release.opened;
    order.push('first');
  });
  await entered.opened;
  const onWait = (pid: number | undefined): void => {
    order.push(`waiting for ${pid}`);
    release.open();
  };
  await withLock(file, { tryLock, onWait }, () => Promise.resolve(order.push('second')));
  await first;
  expect(order).toEqual([`waiting for ${process.pid}`, 'first', 'second']);
});

test('a run that fails releases the lock', async () => {
  await expect(withLock(file, { tryLock }, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await withLock(file, { tryLock, timeoutMs: 0 }, () => Promise.resolve('free'))).toBe('free');
});

test('an abort ends the wait', async () => {
  const abort = new AbortController();
  const busy = withLock(file, { tryLock: () => false, onWait: () => abort.abort(), signal: abort.signal }, () =>
    Promise.resolve(),
  );
  await expect(busy).rejects.toThrow('aborted');
});

test('the wait ends at its limit, and the error names the holder', async () => {
  await withLock(file, { tryLock }, async () => {
    const late = withLock(file, { tryLock, timeoutMs: 0 }, () => Promise.resolve());
    await expect(late).rejects.toThrow(`waiting for another ghostcard (pid ${process.pid}) that is provisioning`);
  });
});

test('a killed holder leaves nothing locked', async () => {
  const holder = await lockHolder(file, 'exclusive');
  const onWait = (): void => void holder.kill('SIGKILL');
  await withLock(file, { tryLock, onWait, timeoutMs: 30_000 }, () => Promise.resolve());
  expect(holder.killed).toBe(true);
  expect(readFileSync(file, 'utf8')).toBe(`${process.pid}\n`);
});
