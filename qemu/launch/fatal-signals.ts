/**
 * What explains the end of a program by a signal that has to do with the machine: an instruction that its processor does
 * not have, an access that it or the kernel refuses before the card has seen it.
 *
 * Sources: Arm Architecture Reference Manual (DDI 0487), B2.7.2 "Device memory": unaligned accesses fault; Linux
 * drivers/vfio/pci/vfio_pci_core.c, `vfio_pci_mmap_fault`.
 */
import { constants } from 'node:os';
import { type GuestArch } from '../provision';

interface Processor {
  readonly arch: GuestArch;
  readonly cpuModel: string;
}

const DECODE_OFF =
  'an access of a BAR that vfio-pci has mapped, while Memory Space Enable is 0 or the card is in D3hot';

const EXPLANATIONS: Readonly<Record<string, (processor: Processor) => string>> = {
  SIGILL: ({ cpuModel }) =>
    `a program used an instruction that the guest's processor does not have (its model: ${cpuModel}): ` +
    'build it for an older processor, or give the guest a newer one (--cpu max, or the option cpu)',
  SIGBUS: ({ arch }) =>
    arch === 'arm64'
      ? 'on arm64 the processor refuses an unaligned access of device memory, and so memcpy and memset of a BAR: it never ' +
        'reaches the card, where an amd64 processor splits it. Access registers in their own size, aligned; to copy, use ' +
        `aligned loads and stores of at most 64 bits. SIGBUS is also ${DECODE_OFF}`
      : `SIGBUS is an access of a file's mapping beyond its end, or ${DECODE_OFF}`,
};

/**
 * Undefined for an end that needs no explanation. A shell whose last command was ended by signal n has the exit code
 * 128 + n.
 */
export function explainSignal(
  { signal, exitCode = 0 }: { signal?: string | undefined; exitCode?: number | undefined },
  processor: Processor,
): string | undefined {
  const found = Object.entries(EXPLANATIONS).find(
    ([name]) => name === signal || 128 + constants.signals[name as NodeJS.Signals] === exitCode,
  );
  return found?.[1](processor);
}
