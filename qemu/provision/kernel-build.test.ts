import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildModules, kernelBuild } from './kernel-build';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-kernel-build-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The minimum that is accepted as a kernel image: a setup header with a version string. */
function kernelImage(release: string): string {
  const image = Buffer.alloc(0x400);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x100, 0x20e);
  image.write(`${release} (made up)\0`, 0x300, 'latin1');
  const file = path.join(folder, 'vmlinuz');
  writeFileSync(file, image);
  return file;
}

test('a folder without a Kbuild file is refused before anything is fetched, and the error says what to write', async () => {
  await expect(buildModules(folder, { cacheDir: path.join(folder, 'cache') })).rejects.toThrow(
    `building the kernel modules of ${folder}: there is no Kbuild file in it\nWhat to do: write one: "obj-m += NAME.o"`,
  );
});

test('modules for a kernel of the user need its build folder, and the error says how to get that', async () => {
  const kernel = kernelImage('1.2.3-made-up');
  await expect(kernelBuild({ kernel, cacheDir: path.join(folder, 'cache') })).rejects.toThrow(
    'there is no /lib/modules/1.2.3-made-up/build\nWhat to do: apt-get install linux-headers-1.2.3-made-up',
  );
});
