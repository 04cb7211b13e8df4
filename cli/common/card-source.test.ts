import { execFileSync } from 'node:child_process';
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
    expect(await cardToPlug(`unix:${folder}/my card.sock`)).toEqual({
      name: 'my_card',
      socketPath: join(folder, 'my card.sock'),
    });
    server.close();
  });

  it('says how to serve a card at a path where there is no socket', async () => {
    await expect(cardToPlug(`unix:${folder}/nobody`)).rejects.toThrow(
      /nobody is not a socket\. Start its server first, for example: ghostcard serve --card reference --socket \//,
    );
  });

  it('makes a built-in card with options, one inside another included', async () => {
    const { name, make } = await loadCard('reference,addressBits=32,link.bytesPerSecond=1e9');
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
  ])('refuses %s before a card is made', async (argument, message) => {
    await expect(loadCard(argument)).rejects.toThrow(message);
  });

  it('refuses an option that the card of a file never reads', async () => {
    const source = await loadCard(
      `${file('card.js', cardOf("if (options.leds !== 8) throw new Error('no leds');"))},leds=8,led=9`,
    );
    expect(() => source.make(environment)).toThrow("the card has no option 'led'");
  });

  it('keeps the stack of an error in the code of a card file', async () => {
    const path = file('throws.js', cardOf("throw new Error('planted');"));
    const { make } = await loadCard(path);
    const thrown = caught(() => make(environment));
    expect(thrown).toBeInstanceOf(CardCodeError);
    expect((thrown.cause as Error).stack).toMatch(/^Error: planted\n {4}at new Card \(.*throws\.js:4:/);
    await expect(loadCard(file('broken.js', "module.exports = require('./not-there');"))).rejects.toThrow(
      /^--card .*broken\.js: the file could not be loaded:$/,
    );
  });

  it('refuses an option without a value, and says how to write one', async () => {
    await expect(loadCard('reference,mapMemory')).rejects.toThrow("'mapMemory' is not an option; write name=value");
  });

  it('lists the built-in cards, and the path of the missing file, for an unknown name', async () => {
    await expect(loadCard('refrence')).rejects.toThrow(
      /no built-in card has this name \(built in: reference, .*refrence$/,
    );
  });

  it('refuses what is no file, and does not wait for one', async () => {
    const fifo = join(folder, 'fifo.js');
    execFileSync('mkfifo', [fifo]);
    for (const path of [fifo, folder])
      await expect(loadCard(path)).rejects.toThrow(`--card ${path}: ${path} is neither a file nor a built-in card`);
  });

  it('says what a card file must export when it exports something else', async () => {
    await expect(loadCard(file('number.js', 'module.exports = 5;'))).rejects.toThrow(
      'its default export is number; export a class that extends PciCard',
    );
    await expect(loadCard(file('foreign.js', 'module.exports = class {};'))).rejects.toThrow(
      /the class that it exports does not extend a PciCard or MultifunctionCard of this ghostcard, which is in \//,
    );
    const source = await loadCard(file('other.js', 'module.exports = () => ({});'));
    expect(() => source.make(environment)).toThrow('its export did not make a PciCard (got object)');
  });

  it('takes a card with several functions, for commands that can use one', async () => {
    const code = `class Port extends globalThis.PciCardOfTheTest {
  constructor(id, environment) { super({ vendorId: 0x1234, deviceId: id, classCode: 0x120000 }, environment); }
}
module.exports = class extends globalThis.MultifunctionCardOfTheTest {
  constructor({ first }) { super(); this.functions = [0, 1].map((n) => (environment) => new Port(first + n, environment)); }
};`;
    const path = file('two.js', code);
    const functions = functionsOf(await loadAnyCard(`${path},first=16`));
    expect(functions.map(({ name }) => name)).toEqual(['two.0', 'two.1']);
    const ids = functions.map(({ make }) => new InProcessHost(make(environment)).config.read16(2));
    expect(ids).toEqual([16, 17]);
    const wrong = await loadAnyCard(`${path},first=16,last=2`);
    expect(() => functionsOf(wrong)).toThrow("the card has no option 'last'");
    await expect(loadCard(`${path},first=16`)).rejects.toThrow(
      'the card has several functions, and this command takes one',
    );
  });

  it('gives cards of the same source distinct names', async () => {
    const names = distinctNames(await Promise.all(['reference', 'reference', 'reference'].map(loadCard)));
    expect(names.map(({ name }) => name)).toEqual(['reference', 'reference-2', 'reference-3']);
  });
});
