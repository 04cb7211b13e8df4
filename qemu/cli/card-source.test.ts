import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { privateMemory } from '../../emulator/pci';
import { distinctNames, loadCard } from './card-source';

const environment = { clock: new ManualClock(), allocate: privateMemory };
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-cards-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('--card', () => {
  it('makes a built-in card with options, one inside another included', () => {
    const { name, make } = loadCard('reference,addressBits=32,link.bytesPerSecond=1e9');
    const card = make(environment) as ReferenceCard;
    expect(name).toBe('reference');
    expect(card.registers.get('CAPABILITIES.ADDRESS_BITS')).toBe(32);
    card.close();
  });

  it('refuses an option that the card never looks at', () => {
    expect(() => loadCard('reference,adressBits=32').make(environment)).toThrow(
      "--card reference: the card has no option 'adressBits'",
    );
  });

  it('refuses a value that the card cannot have', () => {
    expect(() => loadCard('reference,addressBits=48').make(environment)).toThrow('addressBits is 48');
  });

  it('refuses an option without a value, and says how to write one', () => {
    expect(() => loadCard('reference,mapMemory')).toThrow("'mapMemory' is no option; write name=value");
  });

  it('says which names there are and where it looked for a file', () => {
    expect(() => loadCard('refrence')).toThrow(/no built-in card has this name \(there is: reference\).*refrence$/);
  });

  it('says what a file must export when it exports something else', () => {
    expect(() => loadCard(file('number.js', 'module.exports = 5;'))).toThrow(
      'its default export is number; export a class that extends PciCard',
    );
    const source = loadCard(file('other.js', 'module.exports = () => ({});'));
    expect(() => source.make(environment)).toThrow('what it exports makes no PciCard (got object)');
  });

  it('names cards of the same source apart', () => {
    const names = distinctNames([loadCard('reference'), loadCard('reference'), loadCard('reference')]);
    expect(names.map(({ name }) => name)).toEqual(['reference', 'reference-2', 'reference-3']);
  });
});
