/** A browser of a test ends with the test, however that ends, and its profile is removed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest';
import { within } from '../../qemu/launch/within';
import { Browser } from '../support/browser';

let temporary: string;
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'gc-browser-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(temporary, { recursive: true, force: true });
});

/** Processes that were started with the test's folder for temporary files, or one below it. */
function survivors(): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'latin1').includes(`TMPDIR=${temporary}`);
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

const folders = (): string[] =>
  readdirSync(temporary, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('run-'));

const nothingLeft = (): Promise<void> =>
  expect.poll(() => [...survivors(), ...folders()], { timeout: 25_000, interval: 50 }).toEqual([]);

it('leaves nothing behind when it is closed', async () => {
  vi.stubEnv('TMPDIR', temporary);
  const browser = await Browser.start(inject('browser'));
  expect(folders().length).toBeGreaterThan(0);
  await browser[Symbol.asyncDispose]();
  expect(existsSync(`/proc/${browser.pid}`)).toBe(false);
  await nothingLeft();
});

it('leaves nothing behind when its runner is killed', async () => {
  const args = [
    '-r',
    'ts-node/register/transpile-only',
    join(__dirname, 'open-and-stay.ts'),
    JSON.stringify(inject('browser')),
  ];
  const runner = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: temporary },
  });
  try {
    const [pid] = await within(once(runner.stdout, 'data'), { what: 'the browser to be there', timeoutMs: 30_000 });
    expect(survivors()).toContain(String(pid).trim());
  } finally {
    runner.kill('SIGKILL');
  }
  await nothingLeft();
});

it('reports the failed request when it ends too early', async () => {
  await using browser = await Browser.start(inject('browser'));
  const page = await browser.page(400, 300);
  const never = page.evaluate('new Promise(() => {})');
  process.kill(browser.pid, 'SIGKILL');
  await expect(never).rejects.toThrow('Runtime.evaluate of the browser has failed: it has ended');
  await expect(page.evaluate('1')).rejects.toThrow('The browser had ended before Runtime.evaluate was sent');
});
