/**
 * What guests need is made before the first of them, once for each worker and architecture; whoever comes second waits
 * for the first. When it is there, this takes a fraction of a second.
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
