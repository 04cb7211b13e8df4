/**
 * The code of the page as one script: each file of `page` as a CommonJS module, in a table. A page that is opened from
 * disk cannot load modules, and a bundler is more than this needs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import type * as TypeScript from 'typescript';

const PAGE = join(__dirname, 'page');

export interface PageSource {
  readonly template: string;
  readonly style: string;
  readonly script: string;
}

let source: PageSource | undefined;

export function pageSource(): PageSource {
  return (source ??= {
    template: readFileSync(join(PAGE, 'report.html'), 'utf8'),
    style: readFileSync(join(PAGE, 'report.css'), 'utf8'),
    script: bundle(),
  });
}

function bundle(): string {
  const names = readdirSync(PAGE).filter((name) => name.endsWith('.ts'));
  const modules = names.map((name) => {
    const body = transpile(readFileSync(join(PAGE, name), 'utf8'));
    return `${JSON.stringify(`./${basename(name, '.ts')}`)}(exports, require) {\n${body}}`;
  });
  return [
    '(() => {',
    `const modules = {\n${modules.join(',\n')}\n};`,
    'const loaded = {};',
    'const require = (name) => {',
    '  if (loaded[name] === undefined) modules[name]((loaded[name] = {}), require);',
    '  return loaded[name];',
    '};',
    "require('./main');",
    '})();',
  ].join('\n');
}

function transpile(text: string): string {
  // Only an export needs the compiler, which takes a third of a second to load.
  const ts = createRequire(__filename)('typescript') as typeof TypeScript;
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}
