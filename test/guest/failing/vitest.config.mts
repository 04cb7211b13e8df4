import { defineConfig } from 'vitest/config';
import { sources } from '../../support/sources.mts';

export default defineConfig({ resolve: { alias: sources }, test: { include: ['test/guest/failing/suite.ts'] } });
