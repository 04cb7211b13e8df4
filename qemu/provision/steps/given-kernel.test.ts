import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { moduleFile } from '../../../test/support/module-fixture';
import { checkedKernel, checkedModules, modulesForGiven, releaseOf } from './given-kernel';

const RELEASE = '6.1.0-test';
const AMD64 = { guestArch: 'amd64', askedRelease: undefined } as const;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-given-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The parts of a bzImage that identify it. */
function bzImage(version: string): Buffer {
  const image = Buffer.alloc(0x1000);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x400, 0x20e);
  image.write(`${version} (builder@host) #1\0`, 0x600, 'latin1');
  return image;
}

function put(name: string, data: Buffer): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, data);
  return file;
}

describe('a kernel of the user', () => {
  test('for amd64 is accepted, and its release is read', () => {
    expect(releaseOf(bzImage(RELEASE), 'amd64')).toBe(RELEASE);
    const imagePath = put('vmlinuz', bzImage(RELEASE));
    expect(checkedKernel(imagePath, AMD64)).toEqual({ imagePath, release: RELEASE });
  });

  test('for arm64 is accepted uncompressed, compressed, and inside the EFI program of newer packages', () => {
    const image = Buffer.alloc(0x400);
    image.writeUInt32LE(0x644d5241, 0x38);
    image.write(`Linux version ${RELEASE} (builder@host) #1\0`, 0x200, 'latin1');
    const payload = gzipSync(image);
    const efi = Buffer.concat([Buffer.alloc(0x80), payload]);
    efi.write('MZ\0\0zimg', 0, 'latin1');
    efi.writeUInt32LE(0x80, 8);
    efi.writeUInt32LE(payload.length, 12);
    for (const file of [image, payload, efi]) expect(releaseOf(file, 'arm64')).toBe(RELEASE);
    expect(releaseOf(bzImage(RELEASE), 'arm64')).toBeUndefined();
    expect(releaseOf(image, 'amd64')).toBeUndefined();
    expect(releaseOf(efi.subarray(0, 0x90), 'arm64')).toBeUndefined();
  });

  test('that is something else is refused, and the error says what to provide', () => {
    const file = put('notes.txt', Buffer.from('hello'));
    expect(() => checkedKernel(file, AMD64)).toThrow(
      /checking the kernel given as .*notes\.txt: it is not a kernel image for amd64\nWhat to do: give --kernel \(or GHOSTCARD_KERNEL\)/,
    );
    expect(() => checkedKernel(path.join(folder, 'none'), AMD64)).toThrow('there is no such file');
  });
});

test('a kernel of the user must be of the release that was asked for', () => {
  const imagePath = put('vmlinuz', bzImage(RELEASE));
  expect(checkedKernel(imagePath, { ...AMD64, askedRelease: '6.1' }).release).toBe(RELEASE);
  expect(() => checkedKernel(imagePath, { ...AMD64, askedRelease: '6.12' })).toThrow(
    /vmlinuz: it is Linux 6\.1\.0-test, and --kernel-release .* is 6\.12\nWhat to do: leave out one of them/,
  );
});

describe('modules of the user', () => {
  const vermagic = `${RELEASE} SMP mod_unload`;
  const vfio = moduleFile({ vermagic, parm: 'enable_unsafe_noiommu_mode:Enable UNSAFE, no-IOMMU mode' });

  test('are found in /lib/modules/RELEASE and in folders above it, compressed or not', () => {
    const files = [
      put(`lib/modules/${RELEASE}/kernel/vfio.ko`, vfio),
      put(`lib/modules/${RELEASE}/uio.ko.gz`, gzipSync(vfio)),
    ];
    for (const given of [folder, path.join(folder, 'lib/modules'), path.join(folder, 'lib/modules', RELEASE)]) {
      expect(checkedModules(given, RELEASE)).toMatchObject({ files });
    }
  });

  test('of another kernel are refused, and the error names both kernels', () => {
    put('vfio-pci.ko', moduleFile({ vermagic: '5.10.0 SMP' }));
    expect(() => checkedModules(folder, RELEASE)).toThrow(`vfio-pci.ko is for kernel 5.10.0, not for ${RELEASE}`);
  });

  test('without no-IOMMU mode, which only one of the drivers needs, are accepted', () => {
    const files = [
      put('vfio-pci.ko', moduleFile({ vermagic, depends: 'vfio' })),
      put('vfio.ko', moduleFile({ vermagic })),
    ];
    expect(checkedModules(folder, RELEASE)).toEqual({ folder, files });
  });

  test('are refused if there are none', () => {
    expect(() => checkedModules(folder, RELEASE)).toThrow('there are no module files (*.ko) there');
  });

  test("can be 'none' for a kernel that has everything built in, and default to those of the machine", () => {
    expect(modulesForGiven('none', RELEASE)).toBeUndefined();
    expect(() => modulesForGiven(undefined, RELEASE)).toThrow(`in /lib/modules/${RELEASE}: there are no module files`);
  });
});
