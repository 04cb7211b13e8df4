import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cacheKey } from '../provision/cache/cache';
import { machineIdentity } from './machine-identity';
import { type LaunchOptions } from './options';
import { software } from '../../test/support/launch/fixtures';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'identity-'));
  for (const name of ['qemu', 'kernel', 'initramfs']) writeFileSync(join(folder, name), name);
});
afterAll(() => rmSync(folder, { recursive: true }));

const options = (more: Partial<LaunchOptions> = {}): LaunchOptions => ({
  provisioned: {
    ...software(join(folder, 'qemu')),
    kernel: { imagePath: join(folder, 'kernel') },
    initramfsPath: join(folder, 'initramfs'),
    cacheDir: folder,
  },
  ...more,
});
const keyOf = (more?: Partial<LaunchOptions>) => cacheKey(machineIdentity(options(more)));

it.each<[string, Partial<LaunchOptions>]>([
  ['cards, as long as they have room', { cards: [{ name: 'card', socketPath: '/card.sock' }] }],
  ['the root of the host', { hostRoot: '/srv' }],
  ['the host name', { hostname: 'other' }],
  ['a debugger', { gdb: 'tcp:127.0.0.1:1234' }],
  ['the folder of a run', { runDir: '/run' }],
])('%s make no other machine', (_, more) => {
  expect(keyOf(more)).toBe(keyOf());
});

it('nor does a cache that has been moved', () => {
  const before = machineIdentity(options());
  const moved = `${folder}-moved`;
  renameSync(folder, moved);
  folder = moved;
  expect(machineIdentity(options())).toEqual(before);
});

it.each<[string, Partial<LaunchOptions>]>([
  ['memory', { memoryMiB: 256 }],
  ['processors', { cpus: 2 }],
  ['huge pages', { hugepages: 0 }],
  ['kernel arguments', { kernelAppend: 'quiet' }],
  ['slots', { slots: 9 }],
  ['IOMMU', { iommu: true }],
  ['shared folders', { shares: [{ hostPath: '/srv' }] }],
])('other %s make another machine', (_, more) => {
  expect(keyOf(more)).not.toBe(keyOf());
});

it('so does another processor of the host: the guest tells the time by it', () => {
  const { processor } = machineIdentity(options());
  expect(processor).not.toEqual([]);
  expect(machineIdentity(options(), ['another'])).not.toEqual(machineIdentity(options()));
});

it('so does a file that has been replaced by one of the same length', () => {
  const before = keyOf();
  rmSync(join(folder, 'kernel'));
  writeFileSync(join(folder, 'kernel'), 'lernek');
  expect(keyOf()).not.toBe(before);
});
