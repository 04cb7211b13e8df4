/** Imported first: with another Vitest the rest fails in ways that do not say why. */
import { createRequire } from 'node:module';

const SUPPORTED = [4, 5];

/** @throws Error for a version that ghostcard/vitest does not work with */
export function checkVitest(version: string): void {
  const [major, minor] = version.split('.').map(Number);
  if (SUPPORTED.includes(major!) && !(major === 4 && minor === 0)) return;
  throw new Error(
    `ghostcard/vitest works with Vitest 4.1 or newer, and with 5; this project has ${version}. ` +
      'Install one of these: npm install --save-dev vitest@5',
  );
}

const { version } = createRequire(import.meta.url)('vitest/package.json') as { readonly version: string };
checkVitest(version);
