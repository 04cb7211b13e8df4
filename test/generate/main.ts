/** `npm run generate`: writes the files of files.ts, and the reports of the public interface. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { build, isOld } from '../../packaging/build';
import { generatedFiles } from './files';
import { ENTRY_POINTS, interfaceReport, reportPath } from './interface';

const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  console.log(`wrote ${relative(process.cwd(), path)}`);
};
for (const { path, text } of generatedFiles()) write(path, text);
if (isOld()) build();
for (const name of Object.keys(ENTRY_POINTS) as (keyof typeof ENTRY_POINTS)[])
  write(reportPath(name), interfaceReport(name));
