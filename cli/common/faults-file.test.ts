import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CardSource, loadCard } from './card-source';
import { UsageError } from './errors';
import { loadFaults } from './faults-file';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gc-faults-'));
  reference = await loadCard('reference');
  second = { ...reference, name: 'reference-2' };
});
afterAll(() => rmSync(folder, { recursive: true }));

const write = (name: string, contents: string | object): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof contents === 'string' ? contents : JSON.stringify(contents));
  return path;
};
let reference: CardSource;
let second: CardSource;
const remote = { name: 'far', socketPath: '/run/far.sock' };
const lost = { fault: 'write-lost', register: 'SCRATCH' } as const;

describe('--faults', () => {
  it('takes a list in JSON for the only card', async () => {
    const faults = await loadFaults([write('one.json', [lost])], [reference]);
    expect([...faults]).toEqual([['reference', [lost]]]);
  });

  it('takes the default export of a module, and several files', async () => {
    const module = write('more.js', `module.exports.default = [{ fault: 'interrupt-dropped', vector: 1 }];`);
    const faults = await loadFaults([write('one.json', [lost]), module], [reference]);
    expect(faults.get('reference')).toEqual([lost, { fault: 'interrupt-dropped', vector: 1 }]);
  });

  it.each([
    ['a list that is nested too deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'fault 1: a fault is an object'],
    ['an object that is', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`, 'it holds what JSON cannot show'],
    ['a long text', JSON.stringify('x'.repeat(100_000)), `it holds "${'x'.repeat(199)}…; it must hold a list`],
  ])('refuses %s in a short sentence', async (_, text, message) => {
    const refused = loadFaults([write('nested.json', text)], [reference]);
    await expect(refused).rejects.toThrow(message);
    expect(await refused.catch((error: Error) => error.message.length)).toBeLessThan(500);
  });

  it('refuses more than 1000 faults', async () => {
    const file = write(
      'many.json',
      Array.from({ length: 1001 }, () => lost),
    );
    await expect(loadFaults([file], [reference])).rejects.toThrow('many.json: 1001 faults, and each is a stage');
  });

  it('makes one card to check them all', async () => {
    const list = Array.from({ length: 1000 }, (_, index) => ({ ...lost, occurrence: index + 1 }));
    let made = 0;
    const counted = {
      ...reference,
      make: (...args: Parameters<CardSource['make']>) => (made++, reference.make(...args)),
    };
    expect((await loadFaults([write('many.json', list)], [counted])).get('reference')).toHaveLength(1000);
    expect(made).toBe(1);
  });

  it('gives each of several cards its own faults', async () => {
    const file = write('two.json', [
      { card: 'reference-2', ...lost },
      { card: 'reference', fault: 'device-slow', delayNs: 5 },
    ]);
    const faults = await loadFaults([file], [reference, second]);
    expect(faults.get('reference')).toEqual([{ fault: 'device-slow', delayNs: 5 }]);
    expect(faults.get('reference-2')).toEqual([lost]);
  });

  it.each([
    ['that does not exist', undefined, /there is no file .*\.json/],
    ['that is not JSON', '[{', /wrong-1\.json: .*JSON/],
    ['without a list', { fault: 'write-lost' }, /it holds \{"fault":"write-lost"\}; it must hold a list/],
    ['with something else in it', [lost, 7], /fault 2: a fault is an object such as .*, not 7/],
    ['with an unknown kind', [{ fault: 'write-list' }], /fault 1 \(write-list\): fault is "write-list"; .*write-lost/],
    ['with an unknown key', [lost, { ...lost, bits: 1 }], /fault 2 \(write-lost\): it has no 'bits'/],
    ['with an unknown register', [{ ...lost, register: 'SCRACH' }], /fault 1 .* no register 'SCRACH'; .* SCRATCH/],
  ])('refuses a file %s, and says where', async (name, contents, message) => {
    const path = contents === undefined ? join(folder, 'none.json') : write('wrong-1.json', contents);
    await expect(loadFaults([path], [reference]), name).rejects.toThrow(UsageError);
    await expect(loadFaults([path], [reference]), name).rejects.toThrow(message);
  });

  it.each([
    [
      'none of several cards',
      lost,
      /fault 1 \(write-lost\): which card is it for\? "card" must be one of: reference, reference-2, far/,
    ],
    ['an unknown card', { card: 'x', ...lost }, /there is no card "x"\. "card" must be one of/],
    [
      'a card of another process',
      { card: 'far', ...lost },
      /far is served by another process, at \/run\/far\.sock: give --faults/,
    ],
  ])('refuses a fault for %s', async (_, fault, message) => {
    const path = write('cards.json', [fault]);
    await expect(loadFaults([path], [reference, second, remote])).rejects.toThrow(UsageError);
    await expect(loadFaults([path], [reference, second, remote])).rejects.toThrow(message);
  });
});
