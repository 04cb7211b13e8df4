/**
 * Provisioning of what guests need, once for each process, architecture and kernel: a fraction of a second when it is
 * all there.
 * As `globalSetup` of a Vitest config it is done before the first worker starts, and shows its progress.
 */
import { type GuestArch, provision, type Provisioned, terminalProgress } from '../qemu/provision/index.ts';

/** What is chosen of a guest's software. */
export interface SoftwareChoice {
  /** The guest's architecture. Default 'amd64'. */
  readonly arch?: GuestArch;
  /** Debian's 'cloud' or 'generic' kernel, or the path of an image. Default: GHOSTCARD_KERNEL, else 'cloud'. */
  readonly kernel?: string;
  /** Its release, such as '6.12'. Default: GHOSTCARD_KERNEL_RELEASE, else that of the host's suite. */
  readonly kernelRelease?: string;
}

const provisioned = new Map<string, Promise<Provisioned>>();

/** Takes the options of a guest, among which the choice is. */
export function provisionOnce({
  arch: guestArch = 'amd64',
  kernel,
  kernelRelease,
}: SoftwareChoice = {}): Promise<Provisioned> {
  const key = JSON.stringify([guestArch, kernel, kernelRelease]);
  const known = provisioned.get(key);
  if (known !== undefined) return known;
  const made = provision({
    guestArch,
    ...(kernel !== undefined && { kernel }),
    ...(kernelRelease !== undefined && { kernelRelease }),
    onProgress: terminalProgress(),
  });
  provisioned.set(key, made);
  // A failure is not kept: what was missing may be there at the next attempt.
  made.catch(() => provisioned.delete(key));
  return made;
}

/** Called by Vitest. */
export async function setup(): Promise<void> {
  await provisionOnce();
}
