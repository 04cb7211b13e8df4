/** Drivers of the kernel's that its packages leave out, built from its source for the kernel of a guest. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModule } from '../../qemu/launch';
import { buildModules, type GuestArch } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { kernelSource, type KernelSourceFile } from './packages/kernel-source';

export interface KernelDriverOptions {
  /** Others that its source includes. */
  readonly headers?: readonly KernelSourceFile[];
  readonly kernel?: 'cloud' | 'generic';
  readonly guestArch?: GuestArch;
  readonly parameters?: Readonly<Record<string, string | number>>;
}

/** Builds a module of one source file, and loads it into the guest. */
export async function loadKernelDriver(
  rig: Rig,
  source: KernelSourceFile,
  { headers = [], parameters = {}, ...options }: KernelDriverOptions = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'gc-kernel-driver-'));
  try {
    for (const file of [source, ...headers]) cpSync(await kernelSource(file), join(folder, file));
    writeFileSync(join(folder, 'Kbuild'), `obj-m += ${source.replace(/c$/, 'o')}\n`);
    const [module = ''] = await buildModules(folder, options);
    await loadModule(rig.guest, module, { parameters });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
