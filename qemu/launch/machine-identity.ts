/**
 * The identity of a machine. Two launches with the same identity can use the same snapshot. The identity is QEMU's
 * command line without what differs from run to run, so that whatever is added to the machine becomes part of it.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { type Ingredients } from '../provision';
import { qemuArguments } from './arguments';
import { machineOptions } from './machine-options';
import { type LaunchOptions } from './options';

const NO_PATHS = { sockets: { qmp: '', agent: '' }, consoleLogPath: '', emptyFolder: '' };

/** A debugger and an observer make no difference to the machine. */
export function machineIdentity(
  { gdb: _, observer: _observer, ...options }: LaunchOptions,
  processor = hostProcessor(),
): Ingredients {
  const { qemu, kernel, initramfsPath, cacheDir = '' } = options.provisioned;
  const machine = machineOptions(options, { cardsAtBoot: false, incoming: false }, NO_PATHS);
  const anywhere = { rootFolder: '', modulesFolder: '', shareFolders: machine.shareFolders.map(() => '') };
  // A cache that was moved is the same cache: its entries are named by their contents.
  const within = (text: string): string => (cacheDir === '' ? text : text.replaceAll(cacheDir, 'CACHE'));
  return {
    processor,
    qemu: [qemu.command, ...qemu.argsPrefix].map(within),
    arguments: qemuArguments({ ...machine, ...anywhere }).map(within),
    files: [qemu.argsPrefix.at(-1) ?? qemu.command, kernel.imagePath, initramfsPath].map(stamp),
  };
}

/**
 * The model of the host's CPU. A guest's time stamp counter runs at the rate of the host's. The guest's kernel measures
 * that rate at boot and keeps time by it. Source: proc_cpuinfo(5).
 */
function hostProcessor(): string[] {
  const fd = openSync('/proc/cpuinfo', 'r');
  try {
    const buffer = Buffer.alloc(1024); // only the first CPU; reading all takes long on a large machine
    const text = buffer.toString('latin1', 0, readSync(fd, buffer));
    return text.match(/^(?:vendor_id|cpu family|model|model name|stepping|CPU \w+)\s*:.*$/gm) ?? [];
  } finally {
    closeSync(fd);
  }
}

/** Distinguishes versions of a file. */
function stamp(path: string): number[] {
  const { size, mtimeMs } = statSync(path);
  return [size, Math.floor(mtimeMs)];
}

/** A short description of the machine, for people who look at the cache. */
export function machineDescription({ gdb: _, observer: _observer, ...options }: LaunchOptions): string {
  const machine = machineOptions(options, { cardsAtBoot: false, incoming: false }, NO_PATHS);
  const { memoryMiB, highMiB, cpus, slots, hugepages, iommu, kernelAppend, shareFolders } = machine;
  const parts = [
    ...[`${memoryMiB} MiB`, cpus === 1 ? '1 CPU' : `${cpus} CPUs`, `${slots} slots`, `${hugepages} huge pages`],
    ...(highMiB > 0 ? [`${highMiB} MiB above 4 GiB`] : []),
    ...(options.cpu === undefined ? [] : [options.cpu]),
    ...(iommu ? ['IOMMU'] : []),
    ...(shareFolders.length > 0 ? [`${shareFolders.length} share(s)`] : []),
    ...(kernelAppend === undefined ? [] : [kernelAppend]),
  ];
  return `booted ${options.provisioned.arch} guest: ${parts.join(', ')}`;
}
