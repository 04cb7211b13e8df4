/** npm is what a user sees and may kill, at any moment: what it has started ends with it. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const CLI = join(__dirname, '..', '..', 'cli', 'ghostcard.js');

/** In place of npm: starts a command as npm does, and is killed when that says so. */
const NPM = `
  process.title = 'npm exec ghostcard';
  const { spawn } = require('node:child_process');
  const child = spawn(process.execPath, process.argv.slice(1), {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, npm_command: 'exec' },
  });
  child.stdio[3].once('data', () => process.kill(process.pid, 'SIGKILL'));`;

/** In ghostcard's process, at the given moment: has npm killed, and goes on when it has gone. */
const hold = (moment: string): string => `
  const { writeSync } = require('node:fs');
  const Module = require('node:module');
  const waitForTheEndOfNpm = () => {
    const npm = process.ppid;
    writeSync(3, 'kill');
    while (process.ppid === npm);
  };
  ${moment}`;

const BEFORE_MAIN = `
  const load = Module._load;
  Module._load = function (name, ...rest) {
    if (/cli\\/main\\.js$/.test(name)) waitForTheEndOfNpm();
    return load.call(this, name, ...rest);
  };`;

test.each([
  ['before its first instruction', 'waitForTheEndOfNpm();'],
  ['while it is being loaded', BEFORE_MAIN],
  ['when it runs', 'setTimeout(waitForTheEndOfNpm, 1000).unref();'],
])('ghostcard ends when npm is killed %s', async (_, moment) => {
  const folder = mkdtempSync(join(tmpdir(), 'ghostcard-npm-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const hook = join(folder, 'hold.cjs');
  writeFileSync(hook, hold(moment));
  const socket = join(folder, 'card');
  const argv = ['--require', hook, CLI, 'serve', '--card', 'reference', '--socket', socket];
  const npm = spawn(process.execPath, ['-e', NPM, '--', ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void npm.kill('SIGKILL'));
  // Both have ended when nobody has the other end of the pipes any more.
  const text = (await Promise.all([npm.stdout, npm.stderr].map((stream) => stream.toArray()))).join('');
  expect(npm.signalCode).toBe('SIGKILL');
  expect(text).toMatch(/stopped/);
  expect(readdirSync(folder)).toEqual(['hold.cjs']);
});
