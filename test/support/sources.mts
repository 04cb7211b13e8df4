import { join } from 'node:path';

/** In the clone, the package's name means its sources, as for the compiler (exports of package.json). */
export const sources = Object.entries({
  'ghostcard': 'emulator',
  'ghostcard/cards': 'emulator/cards',
  'ghostcard/dma': 'emulator/dma',
  'ghostcard/instrumentation': 'instrumentation',
  'ghostcard/guest': 'qemu',
  'ghostcard/vitest': 'harness',
}).map(([name, folder]) => ({
  find: new RegExp(`^${name}$`),
  replacement: join(import.meta.dirname, '../..', folder, 'index.ts'),
}));
