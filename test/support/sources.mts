import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly 'ghostcard-source'?: string }>>;
};

/** In the clone, the package's name means its sources, as for the compiler (exports of package.json). */
export const sources = Object.entries(exports).flatMap(([name, target]) => {
  const source = typeof target === 'string' ? undefined : target['ghostcard-source'];
  if (source === undefined) return [];
  return [{ find: new RegExp(`^ghostcard${name.slice(1)}$`), replacement: join(ROOT, source) }];
});
