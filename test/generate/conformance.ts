/** docs/conformance.md: what the specifications demand, and the tests whose names cite the clause. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { SPECIFICATIONS } from './clauses';

const repository = join(__dirname, '..', '..');

/** A test that cites a clause in its name: `(PCIe 6.6.2)`, or several: `(PCI 6.2.3, PCIe 6.1.2)`. */
export interface Citation {
  /** `PCIe 6.6.2` */
  readonly clause: string;
  /** From the repository's folder. */
  readonly file: string;
  /** The name without the citation, behind those of its groups. */
  readonly test: string;
}

const CITES = new RegExp(`\\s\\(((?:(?:${SPECIFICATIONS.map(({ cite }) => cite).join('|')}) [\\w.]+(?:, )?)+)\\)$`);

/** All citations of the tests in the repository, in the order of their files. */
export function citations(): Citation[] {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.test.ts'], {
    cwd: repository,
    encoding: 'utf8',
  });
  return files.trim().split('\n').sort().flatMap(citationsOf);
}

function citationsOf(file: string): Citation[] {
  const source = ts.createSourceFile(file, readFileSync(join(repository, file), 'utf8'), ts.ScriptTarget.Latest);
  const found: Citation[] = [];
  const visit = (node: ts.Node, groups: readonly string[]): void => {
    let inside = groups;
    const name = nameOfTest(node);
    if (name !== undefined) {
      const cited = CITES.exec(name)?.[1];
      const own = cited === undefined ? name : name.replace(CITES, '');
      inside = [...groups, own];
      for (const clause of cited?.split(', ') ?? []) found.push({ clause, file, test: inside.join(': ') });
    }
    ts.forEachChild(node, (child) => visit(child, inside));
  };
  visit(source, []);
  return found;
}

/** The name that a call of `describe`, `test` or `it` gives, with modifiers or a table or without. */
function nameOfTest(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const [name] = node.arguments;
  if (!name || !ts.isStringLiteralLike(name)) return undefined;
  let called: ts.Expression = node.expression;
  while (ts.isCallExpression(called) || ts.isPropertyAccessExpression(called)) called = called.expression;
  return ts.isIdentifier(called) && /^(?:describe|test|it)$/.test(called.text) ? name.text : undefined;
}

/** The tables, a specification each. */
export function conformanceTables(): string {
  const all = citations();
  return SPECIFICATIONS.map(({ cite, title, clauses }) => {
    const rows = Object.entries(clauses).map(([clause, demand]) => {
      const cells =
        typeof demand === 'string'
          ? [demand, testsOf(all.filter((one) => one.clause === `${cite} ${clause}`))]
          : [demand.demand, `Left out: ${demand.leftOut}`];
      return `| ${clause.replaceAll('_', '\\_')} | ${cells.join(' | ')} |`;
    });
    return [`## ${title}`, '', '| Clause | Demand | Tests |', '| --- | --- | --- |', ...rows].join('\n');
  }).join('\n\n');
}

/** Tests by file: `[emulator/pci/bars.test.ts](…): one test; another`. */
function testsOf(cited: readonly Citation[]): string {
  const files = [...new Set(cited.map(({ file }) => file))];
  const namesIn = (file: string) => cited.filter((one) => one.file === file).map(({ test }) => test);
  return files.map((file) => `[${file}](../${file}): ${namesIn(file).join('; ')}`).join('<br>');
}
