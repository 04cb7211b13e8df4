/** What a card must have in common with the one whose place at QEMU it takes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../emulator/clock';
import { loadNative } from '../emulator/native';
import { type CardEnvironment, PciCard } from '../emulator/pci';
import { type Occupant, Seat } from './seat';
import { ServedCard } from './served-card';

class RomCard extends PciCard {
  constructor(rom: readonly number[]) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0 }, { clock: new ManualClock() });
    this.expansionRom(Uint8Array.from(rom));
  }
}

class MemoryCard extends PciCard {
  constructor(environment: CardEnvironment) {
    super({ vendorId: 0x1234, deviceId: 2, classCode: 0 }, environment);
    this.memoryBar(2, 4096, { mappable: true });
  }
}

const occupant = (rom: readonly number[]): Occupant => {
  const card = new RomCard(rom);
  return { card, device: card, clock: { runDue: () => false }, onEvent: () => {} };
};

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'gc-seat-'))));
afterEach(() => rmSync(folder, { recursive: true }));

it('a card with another expansion ROM does not fit, since QEMU keeps a copy of the first', async () => {
  const seat = await Seat.start(occupant([1, 2, 3]), join(folder, 'card.sock'), loadNative());
  try {
    expect([seat.fits(occupant([1, 2, 3])), seat.fits(occupant([1, 2, 4]))]).toEqual([true, false]);
  } finally {
    await seat.server.close();
  }
});

it('one card after another takes the place of a card whose memory the client has mapped', async () => {
  const cards: ServedCard[] = [];
  try {
    for (const name of ['first', 'second', 'third', 'fourth']) {
      const options = { socketPath: join(folder, `${name}.sock`), removed: [...cards] };
      cards.push(await ServedCard.start((environment) => new MemoryCard(environment), options));
    }
    expect(cards.map(({ isReplacement }) => isReplacement)).toEqual([false, true, true, true]);
  } finally {
    for (const card of cards) await card.close();
  }
});
