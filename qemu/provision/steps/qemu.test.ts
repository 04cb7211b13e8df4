import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Context } from './context';
import { findQemu } from './qemu';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-qemu-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program with the output of a QEMU. */
function fakeQemu(version: string, device: string): string {
  const file = path.join(folder, 'qemu-system-x86_64');
  writeFileSync(
    file,
    `#!/bin/sh\ncase $1 in -version) echo 'QEMU emulator version ${version} (Debian)';; *) echo 'name "${device}", bus PCI';; esac\n`,
  );
  chmodSync(file, 0o755);
  return file;
}

const context = (given: { qemu?: string; searchPath?: string }): Context =>
  new Context({
    cacheDir: path.join(folder, 'cache'),
    env: { PATH: given.searchPath ?? '/nowhere' },
    ...(given.qemu === undefined ? {} : { qemu: given.qemu }),
  });

describe('a QEMU of the user', () => {
  test('with a vfio-user client is used', async () => {
    const qemu = fakeQemu('11.1.3', 'vfio-user-pci');
    expect(await findQemu(context({ qemu }))).toEqual({
      command: qemu,
      argsPrefix: [],
      firmwareArgs: [],
      version: '11.1.3',
      origin: `given: ${qemu}`,
    });
  });

  test('without a vfio-user client is refused with its version, and not replaced', async () => {
    const qemu = fakeQemu('7.2.0', 'vfio-pci');
    await expect(findQemu(context({ qemu }))).rejects.toThrow(
      /it is version 7\.2\.0 and its "-device help" does not list vfio-user-pci\nWhat to do: give --qemu/,
    );
  });

  test.each(['none', '.', 'text'])('that is not a program is refused (%s)', async (name) => {
    writeFileSync(path.join(folder, 'text'), 'not executable');
    await expect(findQemu(context({ qemu: path.join(folder, name) }))).rejects.toThrow(
      /there is no such program, or it cannot be executed\nWhat to do: give --qemu/,
    );
  });
});

describe('a QEMU on the machine', () => {
  test('with a vfio-user client is found on the search path', async () => {
    const qemu = fakeQemu('10.1.0', 'vfio-user-pci');
    expect((await findQemu(context({ searchPath: folder })))?.command).toBe(qemu);
  });

  test('that is too old is silently ignored', async () => {
    fakeQemu('10.0.2', 'vfio-pci');
    expect(await findQemu(context({ searchPath: folder }))).toBeUndefined();
  });
});
