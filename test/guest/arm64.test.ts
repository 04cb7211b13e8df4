/**
 * What differs in a guest of another architecture than the host's: which programs run, and what is built for it. Cards and
 * drivers are tested for each architecture elsewhere.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { expect, guestTest } from '../../harness';
import { loadModule } from '../../qemu/launch';
import { buildModules, hostArch } from '../../qemu/provision';

const cli = path.join(__dirname, '../../cli/ghostcard.js');
const MACHINE = { amd64: 'x86_64', arm64: 'aarch64' };
const arch = hostArch() === 'amd64' ? 'arm64' : 'amd64';
const test = guestTest({ arch, scope: 'file' });
const own = guestTest({ arch, hostRoot: false, scope: 'file' });

const folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-foreign-'));
const root = path.join(folder, 'root');
const rooted = guestTest({ arch, hostRoot: root, scope: 'file' });
afterAll(() => rmSync(folder, { recursive: true }));

/** An executable file of the host's. */
function script(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

describe("the host's files", () => {
  test('exist, and a command finds the programs of the guest before those of the host', async ({ guest }) => {
    const file = script('words', 'of the host');
    expect(await guest.run(['sh', '-c', 'uname -m; pwd; cat "$0"', file])).toPrint(
      `${MACHINE[arch]}\n${process.cwd()}\nof the host`,
    );
  });

  test('include scripts, which run if they need only a shell', async ({ guest }) => {
    expect(await guest.run([script('plain', '#!/bin/sh\necho "run by sh: $0"\n')])).toPrint(/^run by sh: .*plain\n$/);
    expect(await guest.run([script('found', '#!/usr/bin/env sh\necho run by env\n')])).toPrint('run by env\n');
  });

  test('include programs that do not run, which is reported with what to do', async ({ guest }) => {
    await expect(guest.run([process.execPath])).rejects.toThrow(
      /: it is built for \w+, but this guest is \w+: cross-compile programs for the guest .* \(ghostcard run --root\)/,
    );
    await expect(guest.run([script('node', `#!${process.execPath}\n`)])).rejects.toThrow(
      `it is a script, and its interpreter ${process.execPath} is built for`,
    );
  });

  test('do not affect the programs of the guest', async ({ guest }) => {
    const { card } = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    expect(await guest.run(['gc-loopback', '--irq', 'msix'])).toSucceed();
    expect(card).toHaveInterrupted(0, { by: 'msix' });
  });
});

describe('a root file system of its own architecture', () => {
  const busybox = path.join(root, 'bin/busybox');

  own('is made from files of the guest', async ({ guest }) => {
    mkdirSync(path.dirname(busybox), { recursive: true });
    writeFileSync(busybox, await guest.fetch('/bin/busybox'), { mode: 0o755 });
    for (const name of ['sh', 'uname']) symlinkSync('busybox', path.join(root, 'bin', name));
  });

  rooted('is where commands run, and its programs come before those of the guest', async ({ guest }) => {
    const { stdout } = await guest.run(['sh', '-c', 'uname -m; echo $PATH; ls /']);
    expect(stdout.toString()).toMatch(
      new RegExp(`^${MACHINE[arch]}\\n/usr/local/sbin:[^\\n]*/bin:/run/ghostcard/usr/bin:[^]*^bin$`, 'm'),
    );
  });
});

it('a program that crashes is reported in the words of the kernel', () => {
  const program = path.join(folder, 'crash');
  writeFileSync(program, crashingProgram(), { mode: 0o755 });
  const args = [cli, 'run', '--arch', arch, '--quiet', '--', program];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 90_000 });
  expect(stderr).toMatch(/the command was ended by SIGSEGV\n.*crash\[\d+\]: (unhandled exception: DABT|segfault at 8)/);
  expect(status).toBe(128 + 11);
});

it('an unaligned access of a register of arm64 ends a program by SIGBUS, which is explained', () => {
  const access = [
    'read base others < /sys/bus/pci/devices/$GHOSTCARD_PCI_ADDRESS/resource',
    'devmem $((base + 2)) 32',
  ].join('; ');
  const card = ['--card', 'reference', '--driver', 'uio_pci_generic', '--minimal'];
  const args = [cli, 'run', '--arch', 'arm64', '--quiet', ...card, '--', 'sh', '-c', access];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 90_000 });
  expect(stderr).toMatch(/on arm64 the processor refuses an unaligned access of device memory.*never reaches the card/);
  expect(status).toBe(128 + 7);
});

/** The least ELF file whose program reads address 8. Source: elf(5). */
function crashingProgram(): Buffer {
  const { machine, code } = {
    amd64: { machine: 62, code: [0x08_25_04_8b, 0x00_00_00_00] }, // mov eax, [8]
    arm64: { machine: 183, code: [0xd280_0000, 0xf940_0400] }, // mov x0, #0; ldr x0, [x0, #8]
  }[arch];
  const [headerBytes, segmentBytes, address] = [64, 56, 0x400000n];
  const file = Buffer.alloc(headerBytes + segmentBytes + 4 * code.length);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(2, 16); // executable
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(address + BigInt(headerBytes + segmentBytes), 24); // entry
  file.writeBigUInt64LE(BigInt(headerBytes), 32);
  file.writeUInt16LE(headerBytes, 52);
  file.writeUInt16LE(segmentBytes, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, headerBytes); // loaded
  file.writeUInt32LE(5, headerBytes + 4); // to be read and executed
  file.writeBigUInt64LE(address, headerBytes + 16);
  for (const at of [32, 40]) file.writeBigUInt64LE(BigInt(file.length), headerBytes + at);
  code.forEach((word, index) => file.writeUInt32LE(word, headerBytes + segmentBytes + 4 * index));
  return file;
}

describe('a kernel module', () => {
  let modules: string[];
  beforeAll(async () => {
    writeFileSync(path.join(folder, 'Kbuild'), 'obj-m += foreign.o\n');
    writeFileSync(
      path.join(folder, 'foreign.c'),
      `#include <linux/module.h>
static int __init hello(void) { pr_info("foreign: hello from %s\\n", CONFIG_CC_VERSION_TEXT); return 0; }
static void __exit bye(void) {}
module_init(hello);
module_exit(bye);
MODULE_LICENSE("GPL");
`,
    );
    modules = await buildModules(folder, { guestArch: arch });
  });

  own('that is built for the guest is loaded by it', async ({ guest }) => {
    const { kernelLog } = await loadModule(guest, modules[0]!);
    expect(kernelLog.join('\n')).toContain('foreign: hello from');
  });
});
