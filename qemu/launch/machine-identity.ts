/**
 * What makes a machine the one that it is: two launches with the same identity can start from the same snapshot. It is the
 * very argument list that QEMU gets, with what differs from run to run left out, so that whatever is added to the machine
 * counts by itself.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { type Ingredients } from '../provision';
import { qemuArguments } from './arguments';
import { machineOptions } from './machine-options';
import { type LaunchOptions } from './options';

const NO_PATHS = { sockets: { qmp: '', agent: '' }, consoleLogPath: '', emptyFolder: '' };

export function machineIdentity({ gdb: _, ...options }: LaunchOptions, processor = hostProcessor()): Ingredients {
  const { qemu, kernel, initramfsPath, cacheDir = '' } = options.provisioned;
  const machine = machineOptions(options, { cardsAtBoot: false, incoming: false }, NO_PATHS);
  const anywhere = { rootFolder: '', shareFolders: machine.shareFolders.map(() => '') };
  // A cache that has been moved is the same cache: what is in it is named by its contents.
  const within = (text: string): string => (cacheDir === '' ? text : text.replaceAll(cacheDir, 'CACHE'));
  return {
    processor,
    qemu: [qemu.command, ...qemu.argsPrefix].map(within),
    arguments: qemuArguments({ ...machine, ...anywhere }).map(within),
    files: [qemu.argsPrefix.at(-1) ?? qemu.command, kernel.imagePath, initramfsPath].map(stamp),
  };
}

/**
 * The model of the host's processor. The time stamp counter of a guest runs at the rate of the host's, which the guest's
 * kernel measures when it boots and then tells the time by. Source: proc_cpuinfo(5).
 */
function hostProcessor(): string[] {
  const fd = openSync('/proc/cpuinfo', 'r');
  try {
    const buffer = Buffer.alloc(1024); // of the first processor; to look at all takes long on a large machine
    const text = buffer.toString('latin1', 0, readSync(fd, buffer));
    return text.match(/^(?:vendor_id|cpu family|model|model name|stepping|CPU \w+)\s*:.*$/gm) ?? [];
  } finally {
    closeSync(fd);
  }
}

/** Tells one version of a file from the next. */
function stamp(path: string): number[] {
  const { size, mtimeMs } = statSync(path);
  return [size, Math.floor(mtimeMs)];
}

/** The machine in a few words, for people who look at the cache. */
export function machineDescription({ gdb: _, ...options }: LaunchOptions): string {
  const machine = machineOptions(options, { cardsAtBoot: false, incoming: false }, NO_PATHS);
  const { memoryMiB, cpus, slots, hugepages, iommu, kernelAppend, shareFolders } = machine;
  const parts = [
    ...[`${memoryMiB} MiB`, cpus === 1 ? '1 CPU' : `${cpus} CPUs`, `${slots} slots`, `${hugepages} huge pages`],
    ...(iommu ? ['IOMMU'] : []),
    ...(shareFolders.length > 0 ? [`${shareFolders.length} share(s)`] : []),
    ...(kernelAppend === undefined ? [] : [kernelAppend]),
  ];
  return `booted ${options.provisioned.arch} guest: ${parts.join(', ')}`;
}
