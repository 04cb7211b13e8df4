/** Options that several commands have, and what they are parsed into. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { GUEST_ARCHES, type GuestArch, type ProvisionOptions } from '../../qemu/provision';

export interface SoftwareOptions {
  readonly arch: GuestArch;
  readonly qemu?: string;
  readonly kernel?: string;
  readonly modules?: string;
  readonly busybox?: string;
}

/** --arch; and --qemu, --kernel, --modules, --busybox: software of the user's own in place of what is found or fetched. */
export function addSoftwareOptions(command: Command): Command {
  return command
    .addOption(new Option('--arch <name>', "the guest's processor").choices(GUEST_ARCHES).default('amd64'))
    .addOption(new Option('--qemu <path>', 'QEMU that has vfio-user-pci').env('GHOSTCARD_QEMU'))
    .addOption(new Option('--kernel <path>', 'kernel image for the guest').env('GHOSTCARD_KERNEL'))
    .addOption(new Option('--modules <folder>', 'its modules, /lib/modules/RELEASE; or none').env('GHOSTCARD_MODULES'))
    .addOption(new Option('--busybox <path>', 'statically linked busybox for the guest').env('GHOSTCARD_BUSYBOX'));
}

export const softwareOf = ({
  qemu,
  kernel,
  modules,
  busybox,
  arch,
}: SoftwareOptions): Pick<ProvisionOptions, 'guestArch' | 'qemu' | 'kernel' | 'modules' | 'busybox'> => ({
  guestArch: arch,
  ...(qemu !== undefined && { qemu }),
  ...(kernel !== undefined && { kernel }),
  ...(modules !== undefined && { modules }),
  ...(busybox !== undefined && { busybox }),
});

/** For an option that may be given several times. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** For an option that may be given once: commander would take the last without a word. */
export function once(value: string, previous: string | undefined): string {
  if (previous !== undefined) throw new InvalidArgumentError('It can be given only once.');
  return value;
}

export function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!Number.isInteger(number) || number < min || number > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return number;
  };
}
