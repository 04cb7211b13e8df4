/** Global set-up of the guest tests: provisions QEMU, kernel and guest image before the first test, with progress shown. */
import { type TestProject } from 'vitest/node';
import { type GuestArch, provision, type Provisioned, terminalProgress } from '../../qemu/provision';

export default async function setUp(project: TestProject): Promise<void> {
  const onProgress = terminalProgress();
  const amd64 = await provision({ guestArch: 'amd64', onProgress });
  project.provide('provisioned', { amd64, arm64: await provision({ guestArch: 'arm64', onProgress }) });
}

declare module 'vitest' {
  interface ProvidedContext {
    provisioned: Record<GuestArch, Provisioned>;
  }
}
