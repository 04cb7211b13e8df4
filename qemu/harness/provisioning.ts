/**
 * What guests need is made before the first of them, once for each worker; whoever comes second waits for the first.
 * When it is there, this takes a fraction of a second.
 */
import { provision, type Provisioned, terminalProgress } from '../provision';

let provisioned: Promise<Provisioned> | undefined;

export function provisionOnce(): Promise<Provisioned> {
  provisioned ??= provision({ onProgress: terminalProgress() });
  // A failure is not kept: what was missing may be there at the next attempt.
  provisioned.catch(() => (provisioned = undefined));
  return provisioned;
}
