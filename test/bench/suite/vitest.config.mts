import { defineConfig } from 'vitest/config';
import { sources } from '../../support/sources.mts';

// Run by ../guest-tests.ts, with one worker and with two. A suite of two files, which two workers share.
export default defineConfig({
  resolve: { alias: sources },
  test: { root: import.meta.dirname, include: ['*.bench.ts'], pool: 'forks' },
});
