/** What commands in the guest do not get: the user's secrets, and a network. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Rig } from '../../qemu/rig';
import { startRig } from '../support/rig';

const home = mkdtempSync(path.join(tmpdir(), 'ghostcard-home-'));
const inHome = (name: string): string => path.join(home, name);
let rig: Rig;

beforeAll(async () => {
  mkdirSync(inHome('.ssh'));
  for (const name of ['.ssh/id_ed25519', '.netrc', '.npmrc', 'notes', 'plain']) writeFileSync(inHome(name), name);
  vi.stubEnv('HOME', home);
  rig = await startRig({
    ...{ cards: [], hostRoot: '/', hide: [inHome('notes')], reveal: [inHome('.npmrc')] },
    shares: [{ hostPath: home, guestPath: '/mine' }],
  });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rig?.close();
  rmSync(home, { recursive: true });
});

async function sh(script: string): Promise<string[]> {
  const { stdout } = await rig.guest.run(['/bin/sh', '-c', `exec 2>&1; ${script}`]);
  return stdout.toString().trimEnd().split('\n');
}

it.each([home, '/mine'])(
  "hides keys and passwords, and what else is to be hidden, in the host's root and in shares: %s",
  async (seen) => {
    expect(await sh(`cd ${seen}; ls -A .ssh | wc -l; cat .netrc notes | wc -c; cat plain .npmrc`)).toEqual([
      ...['0', '0', 'plain.npmrc'],
    ]);
    expect(await sh(`cd ${seen}; echo x > .netrc; echo x > .ssh/id; echo x > notes`)).toEqual([
      ...['.netrc', '.ssh/id', 'notes'].map(
        (name) => expect.stringMatching(`${name}: Read-only file system`) as string,
      ),
    ]);
    expect(readFileSync(inHome('.netrc'), 'utf8')).toBe('.netrc');
  },
);

it('has no network but its own loopback', async () => {
  expect(await sh('ls /sys/class/net')).toEqual(['lo']);
});
