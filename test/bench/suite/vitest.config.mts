import { defineConfig } from 'vitest/config';

// Run by ../guest-tests.ts, with one worker and with two. A suite of two files, which two workers share.
export default defineConfig({
  test: { root: import.meta.dirname, include: ['*.bench.ts'], pool: 'forks' },
});
