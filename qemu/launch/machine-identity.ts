/**
 * What makes a machine the one that it is: two launches with the same identity can start from the same snapshot. It is the
 * very argument list that QEMU gets, with what differs from run to run left out, so that whatever is added to the machine
 * counts by itself.
 */
import { statSync } from 'node:fs';
import { type Ingredients } from '../provision';
import { qemuArguments } from './arguments';
import { machineOptions } from './machine-options';
import { type LaunchOptions } from './options';

const NO_PATHS = { sockets: { qmp: '', agent: '' }, consoleLogPath: '', emptyFolder: '' };

export function machineIdentity({ gdb: _, ...options }: LaunchOptions): Ingredients {
  const { qemu, kernel, initramfsPath, cacheDir = '' } = options.provisioned;
  const machine = machineOptions(options, { cardsAtBoot: false, incoming: false }, NO_PATHS);
  const anywhere = { rootFolder: '', shareFolders: machine.shareFolders.map(() => '') };
  // A cache that has been moved is the same cache: what is in it is named by its contents.
  const within = (text: string): string => (cacheDir === '' ? text : text.replaceAll(cacheDir, 'CACHE'));
  return {
    qemu: [qemu.command, ...qemu.argsPrefix].map(within),
    arguments: qemuArguments({ ...machine, ...anywhere }).map(within),
    files: [qemu.argsPrefix.at(-1) ?? qemu.command, kernel.imagePath, initramfsPath].map(stamp),
  };
}

/** Tells one version of a file from the next. */
function stamp(path: string): number[] {
  const { size, mtimeMs } = statSync(path);
  return [size, Math.floor(mtimeMs)];
}

/** The machine in a few words, for people who look at the cache. */
export function machineDescription({ gdb: _, ...options }: LaunchOptions): string {
  const machine = machineOptions(options, { cardsAtBoot: false, incoming: false }, NO_PATHS);
  const { memoryMiB, cpus, slots, hugepages, kernelAppend, shareFolders } = machine;
  const parts = [
    ...[`${memoryMiB} MiB`, cpus === 1 ? '1 CPU' : `${cpus} CPUs`, `${slots} slots`, `${hugepages} huge pages`],
    ...(shareFolders.length > 0 ? [`${shareFolders.length} share(s)`] : []),
    ...(kernelAppend === undefined ? [] : [kernelAppend]),
  ];
  return `booted guest: ${parts.join(', ')}`;
}
