import { expect, it } from 'vitest';
import { checkVitest } from './vitest-version.ts';

it.each(['4.1.0', '4.1.12', '5.0.0-beta.1', '5.1.2'])('Vitest %s is taken', (version) => checkVitest(version));

it.each(['3.2.4', '4.0.9', '6.0.0'])('Vitest %s is refused with the versions that are taken', (version) => {
  expect(() => checkVitest(version)).toThrow(`with Vitest 4.1 or newer, and with 5; this project has ${version}.`);
});
