/**
 * What is different in a guest of another architecture than the host's: whose programs run, and what is built for it. What
 * is the same, cards and drivers, is tested for each architecture elsewhere.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { expect, guestTest } from '../../qemu/harness';
import { loadModule } from '../../qemu/launch';
import { buildModules, hostArch } from '../../qemu/provision';

const arch = hostArch() === 'amd64' ? 'arm64' : 'amd64';
const test = guestTest({ arch, scope: 'file' });
const own = guestTest({ arch, hostRoot: false, scope: 'file' });

const folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-foreign-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** An executable file of the host's. */
function script(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

describe("the host's files", () => {
  test('are there, and a command finds the programs of the guest before those of the host', async ({ guest }) => {
    const file = script('words', 'of the host');
    expect(await guest.run(['sh', '-c', 'uname -m; pwd; cat "$0"', file])).toPrint(
      `${{ amd64: 'x86_64', arm64: 'aarch64' }[arch]}\n${process.cwd()}\nof the host`,
    );
  });

  test('hold scripts that run where they want no more than a shell', async ({ guest }) => {
    expect(await guest.run([script('plain', '#!/bin/sh\necho "run by sh: $0"\n')])).toPrint(/^run by sh: .*plain\n$/);
    expect(await guest.run([script('found', '#!/usr/bin/env sh\necho run by env\n')])).toPrint('run by env\n');
  });

  test('hold programs that do not run, which is said with what to do', async ({ guest }) => {
    await expect(guest.run([process.execPath])).rejects.toThrow(
      /: it is built for \w+, and this guest is \w+: programs for the guest are cross-compiled .* \(ghostcard run --root\)/,
    );
    await expect(guest.run([script('node', `#!${process.execPath}\n`)])).rejects.toThrow(
      `it is a script, and its interpreter ${process.execPath} is built for`,
    );
  });

  test('are no hindrance to the programs of the guest', async ({ guest }) => {
    const { card } = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    expect(await guest.run(['gc-loopback', '--irq', 'msix'])).toSucceed();
    expect(card).toHaveInterrupted(0, { by: 'msix' });
  });
});

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
