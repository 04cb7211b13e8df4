/** `npm run generate`: writes the files of files.ts. */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { generatedFiles } from './files';

for (const { path, text } of generatedFiles()) {
  writeFileSync(path, text);
  console.log(`wrote ${relative(process.cwd(), path)}`);
}
