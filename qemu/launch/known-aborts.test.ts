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
  [
    'without plugins',
    '-plugin /cache/observer.so,shared=/proc/1/fd/3: plugin interface not enabled in this build',
    /built without plugins/,
  ],
  [
    'of an earlier version',
    'Could not load plugin /cache/observer.so: plugin requires API version 7, but this QEMU supports only up to version 5',
    /another version than 11\.1/,
  ],
  [
    'of a later version',
    'Could not load plugin /cache/observer.so: plugin requires API version 7, but this QEMU supports only a minimum version of 8',
    /another version than 11\.1/,
  ],
  [
    'that does not find the plugin',
    'Could not load plugin /cache/observer.so: /cache/observer.so: cannot open shared object file: No such file or directory',
    /cannot load the plugin that does it, for the reason below/,
  ],
  [
    'with an older C library',
    "Could not load plugin /cache/observer.so: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /cache/observer.so)",
    /cannot load the plugin that does it, for the reason below/,
  ],
])('a QEMU %s, which cannot observe, is explained', (_, stderr, why) => {
  const explained = explainAbort(`qemu-system-x86_64: ${stderr}`);
  expect(explained).toMatch(
    /^The guest's processors cannot be observed .* see docs\/limits\.md#observing-takes-a-qemu-with-plugins\.$/,
  );
  expect(explained).toMatch(why);
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
