/** For tests: another process that holds a lock. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { addonPath } from '../../emulator/native';

/** A process that holds the lock of a file or folder until it is killed. Resolves when it has the lock. */
export async function lockHolder(file: string, mode: 'shared' | 'exclusive'): Promise<ChildProcess> {
  const script = `
    const fs = require('fs');
    const addon = { exports: {} };
    process.dlopen(addon, ${JSON.stringify(addonPath)});
    const file = ${JSON.stringify(file)};
    const isFolder = fs.existsSync(file) && fs.statSync(file).isDirectory();
    if (addon.exports.flock(fs.openSync(file, isFolder ? 'r' : 'a+'), ${mode === 'exclusive'})) console.log('locked');
    setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  return holder;
}

/** Ends a process as `kill -9` does, and waits for its end. */
export async function killOutright(holder: ChildProcess): Promise<void> {
  const ended = once(holder, 'exit');
  holder.kill('SIGKILL');
  await ended;
}
