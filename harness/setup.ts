/**
 * Provisioning of what guests need, once for each process and architecture: a fraction of a second when it is all there.
 * As `globalSetup` of a Vitest config it is done before the first worker starts, and shows its progress.
 */
import { type GuestArch, provision, type Provisioned, terminalProgress } from '../qemu/provision';

const provisioned = new Map<GuestArch, Promise<Provisioned>>();

export function provisionOnce(arch: GuestArch = 'amd64'): Promise<Provisioned> {
  const known = provisioned.get(arch);
  if (known !== undefined) return known;
  const made = provision({ guestArch: arch, onProgress: terminalProgress() });
  provisioned.set(arch, made);
  // A failure is not kept: what was missing may be there at the next attempt.
  made.catch(() => provisioned.delete(arch));
  return made;
}

export default async function setUp(): Promise<void> {
  await provisionOnce();
}
