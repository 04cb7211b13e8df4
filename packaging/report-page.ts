/**
 * The HTML report's page: its code as one script, each file as a CommonJS module, in a table. A page that is opened from
 * disk cannot load modules, and a bundler is more than this needs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';

/** Its files by their names. */
export function bundlePage(folder: string): Record<string, string> {
  return {
    'report.html': readFileSync(join(folder, 'report.html'), 'utf8'),
    'report.css': readFileSync(join(folder, 'report.css'), 'utf8'),
    'report.js': bundle(folder),
  };
}

function bundle(folder: string): string {
  const names = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const modules = names.map((name) => {
    const body = transpile(readFileSync(join(folder, name), 'utf8'));
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
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}
