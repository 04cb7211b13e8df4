/** Global set-up of the guest tests: QEMU, kernel and guest image are there before the first test, with progress shown. */
import { type TestProject } from 'vitest/node';
import { provision, type Provisioned, terminalProgress } from '../../qemu/provision';

export default async function setUp(project: TestProject): Promise<void> {
  project.provide('provisioned', await provision({ onProgress: terminalProgress() }));
}

declare module 'vitest' {
  interface ProvidedContext {
    provisioned: Provisioned;
  }
}
