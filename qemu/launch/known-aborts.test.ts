import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { explainAbort, KNOWN_ABORTS } from './known-aborts';

it('an assertion of QEMU whose cause is known is explained, with the place in the documents', () => {
  const stderr =
    "qemu-system-x86_64: ../../system/memory.c:2747: memory_region_del_subregion: Assertion `subregion->container == mr' failed.";
  expect(explainAbort(stderr)).toMatch(
    /^QEMU was asked to delete .* see docs\/limits\.md#a-device-that-qemu-deletes\.$/,
  );
  expect(
    explainAbort(
      "qemu-system-x86_64: hw/pci/msix.c:674: msix_unset_vector_notifiers: Assertion `dev->msix_vector_use_notifier && dev->msix_vector_release_notifier' failed.",
    ),
  ).toMatch(/^The guest has had MSI and MSI-X .* see docs\/limits\.md#msi-enabled-while-msi-x-is-on\.$/);
  expect(explainAbort("qemu-system-x86_64: ../../x.c:1: f: Assertion `0' failed.")).toBeUndefined();
});

it.each([
  'qemu-system-x86_64: -plugin: invalid option',
  'Could not load plugin /cache/observer.so: plugin requires API version 7, but this QEMU supports only a minimum version of 2',
])('a QEMU that cannot be observed is explained: %s', (stderr) => {
  expect(explainAbort(stderr)).toMatch(
    /cannot be observed .* see docs\/limits\.md#observing-takes-a-qemu-with-plugins\.$/,
  );
});

it('every known abort has its section in docs/limits.md', () => {
  const text = readFileSync(join(__dirname, '../../docs/limits.md'), 'utf8');
  const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  );
  expect(headings).toEqual(expect.arrayContaining(KNOWN_ABORTS.map(({ limit }) => limit)));
});
