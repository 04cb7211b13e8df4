/** Launches with a fake QEMU, which follows a script, or with any shell script in its place. */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type GuestSoftware } from '../../../qemu/launch/options';

/** The fake QEMU (and agent), following `script`; see fake-qemu.js. */
export function fakeQemu(script: string): GuestSoftware {
  return software(process.execPath, [join(__dirname, 'fake-qemu.js'), script]);
}

/** A shell script in place of QEMU. */
export async function shellQemu(folder: string, script: string): Promise<GuestSoftware> {
  const path = join(folder, 'qemu.sh');
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return software(path);
}

export function software(command: string, argsPrefix: readonly string[] = []): GuestSoftware {
  return {
    arch: 'amd64',
    qemu: { command, argsPrefix, firmwareArgs: [] },
    kernel: { imagePath: '/boot/vmlinuz' },
    initramfsPath: '/boot/initramfs',
  };
}
