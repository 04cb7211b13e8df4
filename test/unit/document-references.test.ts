/**
 * What the documents refer to exists: links, headings, files and folders of this repository; and each document can be
 * reached from the README.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blocksOf, documents, read, repository } from '../support/documents';

const linksOf = (document: string): string[] =>
  [...read(document).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));

const targetOf = (document: string, link: string): string =>
  link.startsWith('#') ? document : relative(repository, resolve(repository, dirname(document), link.split('#')[0]!));

/** As GitHub makes them. */
const anchorsOf = (document: string): string[] =>
  [...read(document).matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

describe('links in the documents', () => {
  it.each(documents)('%s points to files and headings that exist', (document) => {
    const broken = linksOf(document).filter((link) => {
      const target = targetOf(document, link);
      const [, anchor] = link.split('#');
      return !existsSync(join(repository, target)) || (anchor !== undefined && !anchorsOf(target).includes(anchor));
    });
    expect(broken).toEqual([]);
  });

  it('lead from the README to every document', () => {
    const reached = new Set<string>(['README.md']);
    for (const document of reached) {
      const linked = linksOf(document).map((link) => targetOf(document, link));
      for (const target of linked) if (documents.includes(target)) reached.add(target);
    }
    expect([...reached].sort()).toEqual([...documents].sort());
  });
});

describe('paths in the documents', () => {
  /** Folders whose names begin a path of this repository. */
  const FOLDERS = [
    '.ci',
    'cli',
    'docs',
    'emulator',
    'examples',
    'guest-tools',
    'harness',
    'instrumentation',
    'qemu',
    'test',
  ];
  /** Documents about this repository, in which a file's name alone is one of a folder that was named before it. */
  const ABOUT_SOURCES = ['CONTRIBUTING.md', 'docs/how-it-works.md', 'guest-tools/README.md'];
  const SOURCE = /^[\w./-]*[\w-]\.(?:ts|mts|js|mjs|c|h)$/;

  const textOf = (document: string): string => read(document).replaceAll(/^```.*?^```$/gms, '');
  const codeSpans = (text: string): string[] => [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  const isPath = (code: string): boolean =>
    /^(?!.*\/build\b)[\w./*-]+$/.test(code) && FOLDERS.some((folder) => code.startsWith(`${folder}/`));

  /** `*` stands for anything in the last part. */
  function exists(path: string): boolean {
    if (!path.includes('*')) return existsSync(join(repository, path));
    const pattern = new RegExp(`^${basename(path).replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
    const folder = join(repository, dirname(path));
    return existsSync(folder) && readdirSync(folder).some((name) => pattern.test(name));
  }

  it.each(documents)('%s names files and folders that exist', (document) => {
    const paths = codeSpans(textOf(document)).filter(isPath);
    expect(paths.filter((path) => !exists(path))).toEqual([]);
  });

  it.each(ABOUT_SOURCES)('%s names, without a folder, files of folders that it has named', (document) => {
    const missing: string[] = [];
    for (const section of textOf(document).split(/^#+ /m)) {
      const named = new Set(['.', dirname(document)]);
      for (const code of codeSpans(section)) {
        if (isPath(code)) named.add(SOURCE.test(code) ? dirname(code) : code);
        else if (SOURCE.test(code) && ![...named].some((folder) => exists(join(folder, code)))) missing.push(code);
      }
    }
    expect(missing).toEqual([]);
  });
});

describe('the README', () => {
  it('shows the example blink as it is', () => {
    const shown = blocksOf('README.md').filter(({ language }) => language === 'ts');
    expect(shown).toHaveLength(2);
    for (const { code } of shown) {
      const [first = '', ...rest] = code.split('\n');
      expect(rest.join('\n')).toBe(read(join('examples', 'blink', first.replace('// ', ''))));
    }
  });
});
