import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { version } from '../../emulator/folders';
import { Cache } from './cache/cache';
import { StepProgress } from './basis/progress';
import { Context } from './steps/context';
import { writeArchive } from './packs/archive';
import { compressionOf } from './packs/compression';
import { exportPack, importPack } from './pack';
import { importedPacks, type PackManifest } from './packs/imported';

const PART = { step: 'busybox', name: 'busybox-0123456789abcdef', ingredients: { recipe: 1, guestArch: 'amd64' } };
const MANIFEST: PackManifest = {
  description: 'pack for amd64 guests',
  version,
  hostArch: process.arch,
  parts: [{ ...PART, manifest: { description: 'busybox 1.35' } }],
};

/** Cannot be compressed. */
const PROGRAM = Buffer.concat(
  Array.from({ length: 9_375 }, (_, index) => createHash('sha256').update(`${index}`).digest()),
);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const options = () => ({ cacheDir: path.join(folder, 'cache'), env: {} });

/** A pack with two files and a link to one of them, and a link that leads out of it. */
async function writePack(name: string, changed: Partial<PackManifest> = {}): Promise<string> {
  const part = path.join(folder, 'exporting', PART.name);
  mkdirSync(part, { recursive: true });
  writeFileSync(path.join(part, 'busybox'), PROGRAM, { mode: 0o755 });
  writeFileSync(path.join(part, 'empty'), '');
  const files = { busybox: PROGRAM.length, empty: 0 };
  writeFileSync(path.join(part, 'manifest.json'), JSON.stringify({ ...PART, ...MANIFEST.parts[0], files }));
  symlinkSync('busybox', path.join(part, 'sh'));
  symlinkSync('/etc', path.join(part, 'outside'));
  const file = path.join(folder, name);
  const work = { progress: new StepProgress('pack', undefined), signal: undefined, compress: compressionOf(file) };
  await writeArchive(file, path.join(folder, 'exporting'), { ...MANIFEST, ...changed }, work);
  return file;
}

/** What the cache has, and what is being made in it. */
const entries = (): string[] =>
  ['cache/entries', 'cache/work'].flatMap((each) => {
    const at = path.join(folder, each);
    return existsSync(at) ? readdirSync(at) : [];
  });

test.each(['pack.tar.zst', 'pack.tar.gz', 'pack.tar'])('%s is the same after it was imported', async (name) => {
  expect(await importPack(await writePack(name), options())).toEqual(MANIFEST);
  const [pack] = importedPacks(new Cache(options().cacheDir));
  expect(pack?.manifest).toEqual(MANIFEST);
  const part = path.join(pack!.folder, PART.name);
  expect(readdirSync(part).sort()).toEqual(['busybox', 'empty', 'manifest.json', 'sh']);
  expect(readFileSync(path.join(part, 'sh')).equals(PROGRAM)).toBe(true);
  expect(readdirSync(folder).sort()).toEqual(['cache', 'exporting', name]);
});

test('a part of an imported pack is found by what it is made from', async () => {
  await importPack(await writePack('pack.tar'), options());
  const context = new Context(options());
  const found = context.packed('busybox', { recipe: 1 });
  expect(found).toMatchObject({ manifest: { description: 'busybox 1.35' } });
  expect(path.basename(found!.folder)).toBe(PART.name);
  expect(context.packed('busybox', { recipe: 2 })).toBeUndefined();
  expect(context.packed('busybox', { recipe: 1 }, () => false)).toBeUndefined();
  expect(context.packed('qemu', { recipe: 1 })).toBeUndefined();
});

test('a pack is imported once', async () => {
  const file = await writePack('pack.tar');
  await importPack(file, options());
  await importPack(file, options());
  expect(entries()).toHaveLength(1);
});

describe('it is refused, and the cache stays as it was:', () => {
  test.each([
    [
      'a pack of another version',
      { version: '0.0.9' },
      `it was exported by ghostcard 0.0.9, and this is ghostcard ${version}`,
    ],
    ['a pack for another machine', { hostArch: 'sparc' }, 'its QEMU runs on sparc, and this machine is'],
  ])('%s', async (_, changed, why) => {
    const file = await writePack('pack.tar.gz', changed);
    await expect(importPack(file, options())).rejects.toThrow(`failed while importing the pack ${file}: ${why}`);
    expect(entries()).toEqual([]);
  });

  test.each(['pack.tar.zst', 'pack.tar.gz', 'pack.tar'])('%s that was cut', async (name) => {
    const file = await writePack(name);
    const { length } = readFileSync(file);
    for (const size of [length - 2048, Math.floor(length / 2), 600]) {
      truncateSync(file, size);
      await expect(importPack(file, options()), `${size} bytes`).rejects.toThrow(
        /^failed while (unpack|read)ing the pack /,
      );
      expect(entries(), `${size} bytes`).toEqual([]);
    }
  });

  test.each([
    ['that is not there', () => {}, 'it is not there, or cannot be read'],
    ['that is empty', (file: string) => writeFileSync(file, ''), 'it is no pack, or damaged'],
    ['that is something else', (file: string) => writeFileSync(file, 'x'.repeat(4096)), 'it is no pack, or damaged'],
    [
      'that only begins as one',
      (file: string) => writeFileSync(file, Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3, 4, 5, 6)),
      'it is no pack, or damaged: ',
    ],
  ])('a file %s', async (_, write, why) => {
    const file = path.join(folder, 'pack.tar.zst');
    write(file);
    await expect(importPack(file, options())).rejects.toThrow(`failed while reading the pack ${file}: ${why}`);
  });
});

describe('nothing is exported', () => {
  test('to a name that does not say how to compress it', async () => {
    await expect(exportPack(path.join(folder, 'pack.zip'), options())).rejects.toThrow(
      'its name does not end in .tar.zst, .tar.gz or .tar',
    );
  });

  test('with parts of the user', async () => {
    const env = { GHOSTCARD_KERNEL: '/boot/vmlinuz' };
    await expect(exportPack(path.join(folder, 'pack.tar'), { ...options(), env })).rejects.toThrow(
      /kernel is given \(\/boot\/vmlinuz\), and a pack has only .*\nWhat to do: leave out --kernel and GHOSTCARD_KERNEL/s,
    );
  });

  test('to a folder that is not there, before anything is fetched', async () => {
    const file = path.join(folder, 'absent/pack.tar');
    await expect(exportPack(file, options())).rejects.toThrow(/absent/);
    expect(readdirSync(folder)).toEqual([]);
  });
});
