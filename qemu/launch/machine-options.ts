/** The one place where what a launch leaves out gets its default: from a launch's options to those of QEMU's arguments. */
import { hostArch } from '../provision';
import { type QemuArgumentOptions } from './arguments';
import { type MachinePaths } from './machine';
import { type LaunchOptions } from './options';

/** Room for a few cards to be plugged in while the guest runs. */
const DEFAULT_SLOTS = 8;
export const defaultSlots = (cards: readonly unknown[]) => Math.max(DEFAULT_SLOTS, cards.length);

/** What differs between a machine that boots and one that is loaded from a snapshot. */
export interface StartMode {
  /** Whether the cards are there when the machine is switched on, as in a real one; otherwise they are plugged in. */
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
  if (hostRoot === false && shares.length > 0) {
    throw new Error(
      `${shares.length} folder(s) were to be shared with a guest that gets none of the host's files (hostRoot: false). ` +
        'Give it a root, or copy what it needs with push.',
    );
  }
  if (options.accel === 'kvm' && arch !== hostArch()) {
    throw new Error(
      `The guest is to be ${arch} and run on KVM, but this machine is ${hostArch()}: KVM runs guests of the machine's ` +
        'own architecture only. Leave KVM out: TCG runs any.',
    );
  }
  return {
    arch,
    firmwareArgs: qemu.firmwareArgs,
    kernelPath: kernel.imagePath,
    initramfsPath,
    accel: options.accel ?? 'tcg',
    cpus: options.cpus ?? 1,
    memoryMiB: options.memoryMiB ?? 512,
    hugepages: options.hugepages ?? 32,
    ...(options.kernelAppend !== undefined && { kernelAppend: options.kernelAppend }),
    ...(options.gdb !== undefined && { gdb: options.gdb }),
    ...paths,
    cards: cardsAtBoot ? cards : [],
    slots,
    iommu: options.iommu ?? false,
    // A machine has its device for the host's root whether that is used or not: one snapshot serves both.
    rootFolder: hostRoot === false ? paths.emptyFolder : hostRoot,
    shareFolders: shares.map(({ hostPath }) => hostPath),
    incoming,
    extraArgs: options.extraQemuArgs ?? [],
  };
}
