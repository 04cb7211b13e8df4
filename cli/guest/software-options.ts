/** Options that choose the software of a guest: its architecture, QEMU, kernel, modules and busybox. */
import { type Command, Option } from 'commander';
import { GUEST_ARCHES, type GuestArch, type ProvisionOptions } from '../../qemu/provision';

export interface SoftwareOptions extends Partial<Record<(typeof SOFTWARE)[number], string>> {
  readonly arch: GuestArch;
}

/** --arch, --kernel-release; and --qemu, --kernel, --modules, --busybox: software of the user's own in place of what is found or fetched. */
export function addSoftwareOptions(command: Command): Command {
  return command
    .addOption(new Option('--arch <name>', "the guest's processor").choices(GUEST_ARCHES).default('amd64'))
    .addOption(new Option('--qemu <path>', 'QEMU that has vfio-user-pci').env('GHOSTCARD_QEMU'))
    .addOption(
      new Option(
        '--kernel <name-or-path>',
        "the guest's kernel: Debian's cloud (the default) or generic one, or an image",
      ).env('GHOSTCARD_KERNEL'),
    )
    .addOption(
      new Option('--kernel-release <number>', "its release, such as 6.12, if not that of this machine's suite").env(
        'GHOSTCARD_KERNEL_RELEASE',
      ),
    )
    .addOption(new Option('--modules <folder>', 'its modules, /lib/modules/RELEASE; or none').env('GHOSTCARD_MODULES'))
    .addOption(new Option('--busybox <path>', 'statically linked busybox for the guest').env('GHOSTCARD_BUSYBOX'));
}

const SOFTWARE = ['qemu', 'kernel', 'kernelRelease', 'modules', 'busybox'] as const;

export const softwareOf = (
  options: SoftwareOptions,
): Pick<ProvisionOptions, 'guestArch' | (typeof SOFTWARE)[number]> => ({
  guestArch: options.arch,
  ...Object.fromEntries(SOFTWARE.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]]))),
});
