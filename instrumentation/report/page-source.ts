/** The page of the report, which `npm run build` makes of the files in `page`. */
import { readFileSync } from 'node:fs';
import { inPackage } from '../../emulator/folders';

export interface PageSource {
  readonly template: string;
  readonly style: string;
  readonly script: string;
}

let source: PageSource | undefined;

export function pageSource(): PageSource {
  const read = (name: string): string => readFileSync(inPackage(`dist/report-page/${name}`), 'utf8');
  return (source ??= { template: read('report.html'), style: read('report.css'), script: read('report.js') });
}
