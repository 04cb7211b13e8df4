import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { run } from './project';

const clone = join(__dirname, '../..');

it('npm run docs makes a site, in which everything that is exported has a text and links lead somewhere', async () => {
  const site = join(inject('package').installed, '../docs');
  const { text, exitCode } = await run(clone, 'npm', ['run', 'docs', '--', '--out', site]);
  expect(exitCode, text).toBe(0);
  expect(readFileSync(join(site, 'modules/ghostcard_vitest.html'), 'utf8')).toContain('Vitest');
  expect(existsSync(join(site, 'documents/dma-races.html'))).toBe(true);
});
