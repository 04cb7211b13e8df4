/** `npm run generate`: writes what is made from the cards' register maps and from the tables of the instrumentation. */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { generatedFiles } from '../emulator/cards/generated';
import { generatedDocuments } from './generated';

for (const { path, text } of [...generatedFiles(), ...generatedDocuments()]) {
  writeFileSync(path, text);
  console.log(`wrote ${relative(process.cwd(), path)}`);
}
