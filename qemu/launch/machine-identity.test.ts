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
  ['Cards, while there are enough slots', { cards: [{ name: 'card', socketPath: '/card.sock' }] }],
  ['The root of the host', { hostRoot: '/srv' }],
  ['The host name', { hostname: 'other' }],
  ['A debugger', { gdb: 'tcp:127.0.0.1:1234' }],
  ['An observer', { observer: { plugin: '/cache/observer.so', file: '/proc/1/fd/3' } }],
  ['The run folder', { runDir: '/run' }],
])('%s: not part of the identity of a machine', (_, more) => {
  expect(keyOf(more)).toBe(keyOf());
});

it('The place of the cache: not part of the identity of a machine', () => {
  const before = machineIdentity(options());
  const moved = `${folder}-moved`;
  renameSync(folder, moved);
  folder = moved;
  expect(machineIdentity(options())).toEqual(before);
});

it.each<[string, Partial<LaunchOptions>]>([
  ['Memory', { memoryMiB: 256 }],
  ['CPUs', { cpus: 2 }],
  ['Huge pages', { hugepages: 0 }],
  ['Kernel arguments', { kernelAppend: 'quiet' }],
  ['Slots', { slots: 9 }],
  ['IOMMU', { iommu: true }],
  ['Shared folders', { shares: [{ hostPath: '/srv' }] }],
])('%s: part of the identity of a machine', (_, more) => {
  expect(keyOf(more)).not.toBe(keyOf());
});

it("The host's CPU model, whose time stamp counter the guest uses: part of the identity of a machine", () => {
  const { processor } = machineIdentity(options());
  expect(processor).not.toEqual([]);
  expect(machineIdentity(options(), ['another'])).not.toEqual(machineIdentity(options()));
});

it('A file, even if replaced by one of the same length: part of the identity of a machine', () => {
  const before = keyOf();
  rmSync(join(folder, 'kernel'));
  writeFileSync(join(folder, 'kernel'), 'lernek');
  expect(keyOf()).not.toBe(before);
});
