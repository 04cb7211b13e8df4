/**
 * Keeps the documents true: what they show compiles and runs, what they list is what there is. What they refer to is
 * checked by document-references.test.ts.
 *
 * Code blocks become the files of a user's project that has ghostcard in its node_modules. The rules for them:
 * - a `ts` block begins with the comment `// NAME.ts`; blocks of one document import each other by these names;
 * - it is run, and must print exactly what its comments `// prints …` say;
 * - `NAME.test.ts` is run by Vitest; what imports from 'ghostcard/guest', or `test` or `guestTest` from
 *   'ghostcard/vitest', boots a guest, and is type-checked only;
 * - the `json` block of docs/testing.md is a tsconfig.json under which all of them compile too;
 * - a `c` block is compiled, with guest-tools on the include path;
 * - options of `ghostcard` commands in `sh` and `yaml` blocks must exist.
 *
 * The commands of the examples' READMEs are run by examples/readme.test.ts, those of docs/ci.md by test/guest/ci.test.ts,
 * those of docs/coherence.md by test/guest/coherence-document.test.ts, those of docs/finding-a-dma-bug.md, with its test, by
 * test/guest/finding-a-dma-bug.test.ts, that of docs/vendor-drivers.md by test/guest/vendor-drivers-document.test.ts.
 */
import { execFile } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Command } from 'commander';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../cli/common/errors';
import { program } from '../../cli/main';
import { blocksOf, documents, read, repository } from '../support/documents';

const run = promisify(execFile);
const TS_NODE = JSON.stringify(join(repository, 'node_modules', 'ts-node'));
/** Starting a compiler on a busy machine. */
const SLOW_MS = 120_000;

const codeOf = (document: string, language: string): string =>
  blocksOf(document).find((block) => block.language === language)?.code ?? '';

interface Example {
  readonly document: string;
  readonly name: string;
  readonly code: string;
}

const examples: Example[] = documents.flatMap((document) =>
  blocksOf(document)
    .filter(({ language }) => language === 'ts')
    .map(({ code }) => ({ document, name: /^\/\/ (\S+\.ts)\n/.exec(code)?.[1] ?? '', code })),
);
const usesGuest = ({ code }: Example): boolean =>
  /^import \{[^}]*\} from 'ghostcard\/guest'|^import \{[^}]*\b(test|guestTest)\b[^}]*\} from 'ghostcard\/vitest'/m.test(
    code,
  );
/** What needs a recording is run by the test of its document. */
const isForGuest = (example: Example): boolean =>
  usesGuest(example) || example.document === 'docs/finding-a-dma-bug.md';
const isTest = (example: Example): boolean => example.name.endsWith('.test.ts') && !isForGuest(example);

let project: string;
const folderOf = (document: string): string => join(project, document.replaceAll(/\W/g, '_'));
const pathOf = ({ document, name }: Example): string => join(folderOf(document), name);

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'gc-documents-'));
  const packages = join(project, 'node_modules');
  mkdirSync(packages);
  symlinkSync(repository, join(packages, 'ghostcard'));
  for (const name of ['vitest', '@types']) symlinkSync(join(repository, 'node_modules', name), join(packages, name));
  for (const example of examples) {
    mkdirSync(dirname(pathOf(example)), { recursive: true });
    writeFileSync(pathOf(example), example.code);
  }
});
afterAll(() => rmSync(project, { recursive: true, force: true }));

describe('the examples in the documents', () => {
  it('have names, each its own in its document', () => {
    const names = examples.map(({ document, name }) => `${document}: ${name}`);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.endsWith(': '))).toEqual([]);
    expect(documents.filter((document) => examples.some((example) => example.document === document))).toEqual([
      'README.md',
      'docs/checks.md',
      'docs/coherence.md',
      'docs/dma-races.md',
      'docs/faults.md',
      'docs/finding-a-dma-bug.md',
      'docs/getting-started.md',
      'docs/modelling-a-card.md',
      'docs/platform-devices.md',
      'docs/real-devices.md',
      'docs/replay.md',
      'docs/testing.md',
      'docs/tracing.md',
      'docs/vendor-drivers.md',
      'docs/writing-a-card.md',
    ]);
  });

  it.each([
    ['the strict rules of this repository', read('tsconfig.json')],
    ['the rules that docs/testing.md gives to a project', codeOf('docs/testing.md', 'json')],
  ])('compile under %s', { timeout: SLOW_MS }, (_, tsconfig) => {
    const { config } = ts.parseConfigFileTextToJson('tsconfig.json', tsconfig) as { config: object };
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, repository);
    const checked = ts.createProgram(examples.map(pathOf), {
      ...options,
      customConditions: [], // as installed
      typeRoots: [join(project, 'node_modules', '@types')],
    });
    const host = { getCanonicalFileName: String, getCurrentDirectory: () => project, getNewLine: () => '\n' };
    expect(ts.formatDiagnostics(ts.getPreEmitDiagnostics(checked), host)).toBe('');
  });

  const runnable = examples.filter((example) => !isTest(example) && !isForGuest(example));
  it.each([...new Set(runnable.map(({ document }) => document))])(
    'in %s run and print what they say',
    { timeout: SLOW_MS },
    async (document) => {
      const files = runnable.filter((example) => example.document === document);
      // One process for all of them; what each prints stands below its name.
      const all = join(folderOf(document), 'all.js');
      const lines = files.map(({ name }) => `console.log('// ${name}');\nrequire('./${name}');\n`);
      writeFileSync(all, [`require(${TS_NODE}).register({ transpileOnly: true });\n`, ...lines].join(''));
      const { stdout } = await run(process.execPath, [all]);
      const promised = files.flatMap(({ name, code }) => [
        `// ${name}`,
        ...[...code.matchAll(/\/\/ prints (.*)$/gm)].map(([, text = '']) => text),
      ]);
      expect(stdout.trimEnd().split('\n')).toEqual(promised);
    },
  );

  it('that are tests pass', { timeout: SLOW_MS }, async () => {
    const vitest = join(repository, 'node_modules', 'vitest', 'vitest.mjs');
    const tests = examples.filter(isTest);
    const args = ['run', '--root', project, '--reporter', 'json', ...tests.map(pathOf)];
    const { stdout } = await run(process.execPath, [vitest, ...args]);
    const { success, testResults } = JSON.parse(stdout) as { success: boolean; testResults: object[] };
    expect(success).toBe(true);
    expect(testResults).toHaveLength(tests.length);
  });

  it('in C compile without warnings', { timeout: SLOW_MS }, async () => {
    const sources = documents.flatMap((document) => blocksOf(document).filter(({ language }) => language === 'c'));
    expect(sources).not.toHaveLength(0);
    for (const [index, { code }] of sources.entries()) {
      const file = join(project, `example-${index}.c`);
      writeFileSync(file, code);
      const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only'];
      await run('cc', [...flags, '-I', join(repository, 'guest-tools'), file]);
    }
  });
});

describe('the commands that a newcomer types', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

  it('are in the README and exist', () => {
    expect(read('README.md')).toMatch(/^npm ci && npm start$/m);
    expect(read('README.md')).toMatch(/^npm ci && npm test$/m);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['start', 'test']));
  });

  it('are what continuous integration runs', () => {
    const lines = read('.ci/run').trim().split('\n');
    expect(lines.slice(0, 2)).toEqual(['#!/bin/bash', 'set -euo pipefail']);
    expect(lines.at(-1)).toBe('npm ci && npm test');
    accessSync(join(repository, '.ci/run'), constants.X_OK);
  });

  it('name scripts that package.json has', () => {
    const named = documents.flatMap((document) => [...read(document).matchAll(/npm run (?:--silent )?([\w:]+)/g)]);
    const unknown = named.map(([, script = '']) => script).filter((script) => !(script in scripts));
    expect(unknown).toEqual([]);
  });
});

describe('docs/command-line.md', async () => {
  const text = read('docs/command-line.md');
  const leavesOf = ({ commands }: Command, path: readonly string[] = []): { name: string; command: Command }[] =>
    commands.flatMap((command) => {
      const own = [...path, command.name()];
      return command.commands.length > 0 ? leavesOf(command, own) : [{ name: own.join(' '), command }];
    });
  const commands = leavesOf(await program());
  const sectionOf = (name: string): string =>
    new RegExp(`^## ghostcard ${name}\\n(.*?)(?=^## |$(?![\\s\\S]))`, 'ms').exec(text)?.[1] ?? '';

  it('has every command in its first table, and no other', () => {
    const [table = ''] = /^\| Command \|.*?\n\n/ms.exec(text) ?? [];
    const listed = [...table.matchAll(/^\| \[`([a-z -]+)`\]\(#ghostcard-([a-z-]+)\)/gm)];
    expect(listed.map(([, name]) => name).sort()).toEqual(commands.map(({ name }) => name).sort());
    expect(listed.filter(([, name, anchor]) => name?.replaceAll(' ', '-') !== anchor)).toEqual([]);
  });

  it.each(commands)('has every option of $name, and no other', ({ name, command }) => {
    const listed = [...sectionOf(name).matchAll(/^\| `(--[\w-]+)/gm)].map(([, option]) => option);
    expect(listed.sort()).toEqual(command.options.map(({ long }) => long).sort());
  });

  it('has every program for the guest', () => {
    const apps = readdirSync(join(repository, 'guest-tools', 'apps')).filter((name) => /^gc-.*\.c$/.test(name));
    expect(apps.filter((name) => !text.includes(`| \`${name.slice(0, -2)}\` |`))).toEqual([]);
  });

  it('has every exit code', () => {
    const listed = [...text.matchAll(/^\| (\d+)(?: \+ n)? \|/gm)].map(([, code]) => Number(code));
    expect(new Set(listed)).toEqual(new Set(Object.values(EXIT)));
  });

  it('has every environment variable that the sources know', () => {
    const inSources = ['instrumentation', 'qemu', 'harness', 'cli', 'guest-tools'].flatMap((folder) =>
      readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
        .filter((path) => /^(?!.*(?:build\/|\.test\.ts$)).*\.(?:ts|js|c)$/.test(path))
        .flatMap((path) => [...read(join(folder, path)).matchAll(/(?:env\.|'|")(GHOSTCARD_[A-Z_]*[A-Z])\b/g)])
        .map(([, name = '']) => name),
    );
    expect([...new Set(inSources)].filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it('and the others use only options that exist', () => {
    const shell = documents.flatMap(blocksOf).filter(({ language }) => ['sh', 'yaml'].includes(language));
    const lines = shell.flatMap(({ code }) => code.replaceAll('\\\n', ' ').split('\n'));
    const unknown = lines.filter((line) => {
      const [, name = '', rest = ''] = /\bghostcard (\w+)(.*)/.exec(line) ?? [];
      if (name === '') return false;
      const words = `${name}${rest} `;
      const { command } = commands.find(({ name }) => words.startsWith(`${name} `)) ?? {};
      const used = (rest.split(' -- ')[0] ?? '').match(/--\w[\w-]*/g) ?? [];
      return !used.every((option) => command?.options.some(({ long }) => long === option));
    });
    expect(unknown).toEqual([]);
  });
});

describe('docs/how-it-works.md', () => {
  it('has the import rules that lint enforces', () => {
    const rules = /const mayImport = \{(.*?)^\};/ms.exec(read('eslint.config.mjs'))?.[1] ?? '';
    const enforced = [...rules.matchAll(/^ {2}'([\w/-]+)': \[(.*?)\]/gms)].map(
      ([, folder = '', allowed = '']) => `${folder}: ${namesIn(allowed, /'([\w/-]+)'/g)}`,
    );
    const documented = [...read('docs/how-it-works.md').matchAll(/^\| `([\w/-]+)` \| .*? \| (.*?) \|$/gm)].map(
      ([, folder = '', allowed = '']) => `${folder}: ${namesIn(allowed, /`([\w/-]+)`/g)}`,
    );
    expect(enforced).not.toHaveLength(0);
    expect(documented.sort()).toEqual(enforced.sort());
  });

  const namesIn = (text: string, pattern: RegExp): string =>
    [...text.matchAll(pattern)]
      .map(([, name = '']) => name)
      .sort()
      .join(', ');
});
