/** Derives the options of QEMU's command line from those of a launch. All defaults of a launch are here. */
import { hostArch } from '../provision';
import { type QemuArgumentOptions } from './arguments';
import { type MachinePaths } from './machine';
import { highMiB } from './memory-layout';
import { type LaunchOptions } from './options';

export const DEFAULT_CPUS = 1;
export const DEFAULT_MEMORY_MIB = 512;
/** Slots for a few cards to be hot-plugged. */
const DEFAULT_SLOTS = 8;
export const defaultSlots = (cards: readonly unknown[]) => Math.max(DEFAULT_SLOTS, cards.length);

/** Differences between a machine that boots and one that is restored from a snapshot. */
export interface StartMode {
  /** Whether the cards are present at power-on, as in a real machine. Otherwise they are hot-plugged. */
  readonly cardsAtBoot: boolean;
  readonly incoming: boolean;
}

export function machineOptions(
  options: LaunchOptions,
  { cardsAtBoot, incoming }: StartMode,
  paths: MachinePaths,
): QemuArgumentOptions {
  const { arch, qemu, kernel, initramfsPath } = options.provisioned;
  const { cards = [], hostRoot = '/', shares = [], slots = defaultSlots(cards) } = options;
  const { memoryMiB = DEFAULT_MEMORY_MIB, memoryLayout = 'flat' } = options;
  if (hostRoot === false && shares.length > 0) {
    throw new Error(
      `Cannot share ${shares.length} folder(s) with a guest that gets none of the host's files (hostRoot: false). ` +
        'Give it a root, or copy what it needs with push.',
    );
  }
  if (options.accel === 'kvm' && arch !== hostArch()) {
    throw new Error(
      `Cannot run a guest of architecture ${arch} on KVM: this machine is ${hostArch()}, and KVM only runs guests of ` +
        'the same architecture. Leave KVM out: TCG runs any architecture.',
    );
  }
  return {
    arch,
    firmwareArgs: qemu.firmwareArgs,
    kernelPath: kernel.imagePath,
    initramfsPath,
    accel: options.accel ?? 'tcg',
    cpus: options.cpus ?? DEFAULT_CPUS,
    ...(options.cpu !== undefined && { cpu: options.cpu }),
    memoryMiB,
    highMiB: highMiB(memoryLayout, memoryMiB),
    hugepages: options.hugepages ?? 32,
    ...(options.kernelAppend !== undefined && { kernelAppend: options.kernelAppend }),
    ...(options.gdb !== undefined && { gdb: options.gdb }),
    ...(options.observer && { observer: options.observer }),
    ...paths,
    cards: cardsAtBoot ? cards : [],
    slots,
    iommu: options.iommu ?? false,
    // A machine always has the device for the host's root, used or not, so that one snapshot serves both.
    rootFolder: hostRoot === false ? paths.emptyFolder : hostRoot,
    shareFolders: shares.map(({ hostPath }) => hostPath),
    modulesFolder: kernel.modulesFolder ?? paths.emptyFolder,
    incoming,
    extraArgs: options.extraQemuArgs ?? [],
  };
}
