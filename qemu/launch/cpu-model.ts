/**
 * The model of the guest's processors, and what to say when QEMU does not have it.
 *
 * Source: QEMU's docs/system/i386/cpu (`-cpu`), hw/core/cpu-common.c for the message.
 */
import { execa } from 'execa';
import { nearestNames } from '../../emulator/registers/nearest-names';
import { cpuModel } from './arguments';
import { type GuestSoftware, type LaunchOptions } from './options';

const HELP_TIMEOUT_MS = 10_000;
const SHOWN_NAMES = 5;
const UNKNOWN_MODEL = /unable to find CPU model '(.*)'/;

/** The model that a launch with these options has. */
export const cpuModelOf = ({ provisioned, accel = 'tcg', cpu }: LaunchOptions): string =>
  cpuModel({ arch: provisioned.arch, accel, ...(cpu !== undefined && { cpu }) });

/** The error to report in place of that of a QEMU that has ended because of its CPU model. */
export async function explainCpuModel(error: unknown, { provisioned, cpu }: LaunchOptions): Promise<unknown> {
  const wanted = cpu === undefined ? undefined : UNKNOWN_MODEL.exec((error as Error).message)?.[1];
  if (wanted === undefined) return error;
  const names = await cpuModels(provisioned);
  return new Error(
    `QEMU has no CPU model '${wanted}' for ${provisioned.arch} guests. ` +
      `Names like it: ${nearestNames(wanted, names, SHOWN_NAMES).join(', ')}; it has ${names.length}, ` +
      "'max' with all that it can emulate among them.",
  );
}

async function cpuModels({ qemu }: GuestSoftware): Promise<string[]> {
  const args = [...qemu.argsPrefix, ...qemu.firmwareArgs, '-machine', 'none', '-cpu', 'help'];
  const { stdout } = await execa(qemu.command, args, { reject: false, timeout: HELP_TIMEOUT_MS });
  const [models = ''] = stdout.split('\n\n');
  return [...models.matchAll(/^  (\S+)/gm)].map(([, name]) => name!);
}
