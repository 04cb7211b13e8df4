import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { InProcessHost } from '../../emulator/host';
import { MultifunctionCard, PciCard, privateMemory } from '../../emulator/pci';
import { cardToPlug, distinctNames, functionsOf, loadAnyCard, loadCard } from './card-source';
import { CardCodeError } from './errors';

// A file that Node loads would get a PciCard of its own, not the one that Vitest has loaded.
Object.assign(globalThis, { PciCardOfTheTest: PciCard, MultifunctionCardOfTheTest: MultifunctionCard });

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

/** A card file that runs `code` in its constructor. */
const cardOf = (code: string): string => `const PciCard = globalThis.PciCardOfTheTest;
module.exports = class Card extends PciCard {
  constructor(options) {
    ${code}
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x120000, intx: 'A' }, options);
  }
};
`;

function caught(code: () => unknown): Error {
  try {
    code();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

describe('--card', () => {
  it('takes the socket of a card that another process serves', async () => {
    const server = createServer().listen(join(folder, 'my card.sock'));
    await once(server, 'listening');
    expect(cardToPlug(`unix:${folder}/my card.sock`)).toEqual({
      name: 'my_card',
      socketPath: join(folder, 'my card.sock'),
    });
    server.close();
  });

  it('says how to serve a card at a path where there is no socket', () => {
    expect(() => cardToPlug(`unix:${folder}/nobody`)).toThrow(
      /nobody is not a socket\. Start its server first, for example: ghostcard serve --card reference --socket \//,
    );
  });

  it('makes a built-in card with options, one inside another included', () => {
    const { name, make } = loadCard('reference,addressBits=32,link.bytesPerSecond=1e9');
    const card = make(environment) as ReferenceCard;
    expect(name).toBe('reference');
    expect(card.registers.get('CAPABILITIES.ADDRESS_BITS')).toBe(32);
    card.close();
  });

  it.each([
    [
      'reference,adressBits=32',
      "has no option 'adressBits'; it has addressBits, wrapsAtBits, lengthBits, coherent, mapMemory, link",
    ],
    ['reference,addressBits=65', 'addressBits is 65'],
    ['reference,mapMemory=3', "'mapMemory' is 3; it takes on or off"],
    ['reference,link=3', "'link' takes link.bytesPerSecond=…, link.completionLatencyNs=…"],
    ['reference,link.speed=3', "has no option 'link.speed'; it has link.bytesPerSecond"],
    ['reference,link.bytesPerSecond=fast', 'bytesPerSecond is fast; it must be above 0'],
    ['reference,__proto__.mapMemory=on', "has no option '__proto__'"],
    ['reference,link=3,link.bytesPerSecond=3', "'link' has both a value and options of its own"],
  ])('refuses %s before a card is made', (argument, message) => {
    expect(() => loadCard(argument)).toThrow(message);
  });

  it('refuses an option that the card of a file never reads', () => {
    const source = loadCard(
      `${file('card.js', cardOf("if (options.leds !== 8) throw new Error('no leds');"))},leds=8,led=9`,
    );
    expect(() => source.make(environment)).toThrow("the card has no option 'led'");
  });

  it('keeps the stack of an error in the code of a card file', () => {
    const path = file('throws.js', cardOf("throw new Error('planted');"));
    const thrown = caught(() => loadCard(path).make(environment));
    expect(thrown).toBeInstanceOf(CardCodeError);
    expect((thrown.cause as Error).stack).toMatch(/^Error: planted\n {4}at new Card \(.*throws\.js:4:/);
    const broken = caught(() => loadCard(file('broken.js', "module.exports = require('./not-there');")));
    expect(broken.message).toMatch(/^--card .*broken\.js: the file could not be loaded:$/);
  });

  it('refuses an option without a value, and says how to write one', () => {
    expect(() => loadCard('reference,mapMemory')).toThrow("'mapMemory' is not an option; write name=value");
  });

  it('lists the built-in cards, and the path of the missing file, for an unknown name', () => {
    expect(() => loadCard('refrence')).toThrow(/no built-in card has this name \(built in: reference, .*refrence$/);
  });

  it('says what a card file must export when it exports something else', () => {
    expect(() => loadCard(file('number.js', 'module.exports = 5;'))).toThrow(
      'its default export is number; export a class that extends PciCard',
    );
    const source = loadCard(file('other.js', 'module.exports = () => ({});'));
    expect(() => source.make(environment)).toThrow('its export did not make a PciCard (got object)');
  });

  it('takes a card with several functions, for commands that can use one', () => {
    const code = `class Port extends globalThis.PciCardOfTheTest {
  constructor(id, environment) { super({ vendorId: 0x1234, deviceId: id, classCode: 0x120000 }, environment); }
}
module.exports = class extends globalThis.MultifunctionCardOfTheTest {
  constructor({ first }) { super(); this.functions = [0, 1].map((n) => (environment) => new Port(first + n, environment)); }
};`;
    const path = file('two.js', code);
    const functions = functionsOf(loadAnyCard(`${path},first=16`));
    expect(functions.map(({ name }) => name)).toEqual(['two.0', 'two.1']);
    const ids = functions.map(({ make }) => new InProcessHost(make(environment)).config.read16(2));
    expect(ids).toEqual([16, 17]);
    expect(() => functionsOf(loadAnyCard(`${path},first=16,last=2`))).toThrow("the card has no option 'last'");
    expect(() => loadCard(`${path},first=16`)).toThrow('the card has several functions, and this command takes one');
  });

  it('gives cards of the same source distinct names', () => {
    const names = distinctNames([loadCard('reference'), loadCard('reference'), loadCard('reference')]);
    expect(names.map(({ name }) => name)).toEqual(['reference', 'reference-2', 'reference-3']);
  });
});
