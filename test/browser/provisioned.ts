/** Global set-up of the browser tests: provisions the browser before the first test, with progress shown. */
import { type TestProject } from 'vitest/node';
import { terminalProgress } from '../../qemu/provision';
import { provisionBrowser, type ProvisionedBrowser } from '../support/packages/browser';

export default async function setUp(project: TestProject): Promise<void> {
  project.provide('browser', await provisionBrowser({ onProgress: terminalProgress() }));
}

declare module 'vitest' {
  interface ProvidedContext {
    browser: ProvisionedBrowser;
  }
}
