import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { include: ['test/guest/failing/suite.ts'] } });
