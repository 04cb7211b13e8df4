import { defineConfig } from 'vitest/config';
import { sources } from './test/support/sources.mts';

// Six projects, quickest first. `unit` and `protocol` need no QEMU, `browser` needs a browser; `package` is what others
// install, and needs npm's registry; `guest` boots real guests,
// one at a time; so does `strangers`, for drivers that were not written here: of each the quick test, or, with
// GHOSTCARD_STRANGERS=all, all of them (`npm run test:strangers`).
export default defineConfig({
  resolve: { alias: sources },
  test: {
    pool: 'forks',
    globalSetup: ['test/support/built.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            '{emulator,instrumentation,qemu,harness,cli,test/unit,test/bench,test/bugs,test/soak}/**/*.test.ts',
          ],
        },
      },
      {
        extends: true,
        test: { name: 'protocol', include: ['test/{protocol,fuzz}/**/*.test.ts'], testTimeout: 20_000 },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          globalSetup: ['test/browser/provisioned.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          globalSetup: ['test/package/packed.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'guest',
          // Wherever a user of this clone puts a test, it is found here.
          include: ['**/*.test.ts'],
          exclude: [
            '**/node_modules/**',
            '{emulator,instrumentation,qemu,harness,cli}/**',
            'test/{unit,protocol,fuzz,browser,package,strangers,bench,bugs}/**',
          ],
          globalSetup: ['test/support/provisioned.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'strangers',
          include: ['test/strangers/**/*.test.ts'],
          exclude: process.env['GHOSTCARD_STRANGERS'] === 'all' ? [] : ['**/*.full.test.ts'],
          globalSetup: ['test/support/provisioned.ts'],
          // The first one fetches what its driver needs.
          testTimeout: 900_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
