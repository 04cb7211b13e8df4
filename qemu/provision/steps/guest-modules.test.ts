import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Context } from './context';
import { findGuestModules, guestModulesIngredients } from './guest-modules';
import { type KernelEntry } from './kernel-entry';

test('modules built for a kernel are not used with a newer kernel that has replaced it in the cache', async () => {
  const cacheDir = mkdtempSync(path.join(tmpdir(), 'ghostcard-guest-modules-'));
  onTestFinished(() => rmSync(cacheDir, { recursive: true }));
  const context = new Context({ cacheDir });
  const kernel = (release: string): KernelEntry => ({
    folder: path.join(cacheDir, 'entries', 'kernel-1'),
    manifest: { description: '', release, packages: { 'linux-image-cloud-amd64': `${release}-1` } },
  });
  const made = { description: 'made up' };
  using built = await context.cache.publish(
    'guest-modules',
    guestModulesIngredients(kernel('6.1.0-1')),
    async () => made,
  );
  expect(findGuestModules(context, kernel('6.1.0-1'))?.folder).toBe(built.folder);
  expect(findGuestModules(context, kernel('6.1.0-2'))).toBeUndefined();
});
