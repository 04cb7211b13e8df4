/** Two guests in one process, a card each: the same address is other memory for each card. */
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { type Rig } from '../../qemu/rig';
import { installProgram, startRig } from '../support/rig';

/** Reads and writes where the test says. */
class ProbeCard extends PciCard {
  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4790, classCode: 0x12_00_00, intx: 'A' }, environment);
    this.memoryBar(0, 4096);
  }

  async read(address: number, sizeBytes: number): Promise<string> {
    const bytes = new Uint8Array(sizeBytes);
    await this.dma.read(address, bytes).promise();
    return Buffer.from(bytes).toString();
  }

  write(address: number, text: string): Promise<void> {
    return this.dma.write(address, Buffer.from(text)).promise();
  }
}

/** 32 bytes, so that each multiple of it begins the text again. */
const TEXTS = ['the first guest has this in RAM.', 'the second one has written this.'] as const;

const rigs: Rig[] = [];
beforeAll(async () => {
  const make = (environment: CardEnvironment) => new ProbeCard(environment);
  for (const _ of TEXTS) rigs.push(await startRig({ cards: [{ name: 'probe', make }] }));
});
afterAll(async () => {
  for (const rig of rigs) await rig.close();
});

/** Runs the program in a guest: the addresses of its pages, and what it sees at one of them. */
async function hold(rig: Rig, text: string) {
  const { pciAddress } = await rig.bind('probe', 'uio_pci_generic');
  const program = await installProgram(rig, join(__dirname, 'two-guests.c'), ['lib']);
  const stdin = new PassThrough();
  let output = '';
  const command = await rig.guest.start([program, pciAddress, text], {
    stdin,
    onStdout: (chunk) => void (output += String(chunk)),
  });
  const line = async (number: number): Promise<string> => {
    await expect.poll(() => output.split('\n').length, { timeout: 20_000 }).toBeGreaterThan(number + 1);
    return output.split('\n')[number]!;
  };
  let asked = 0;
  return {
    addresses: (await line(0)).trim().split(' ').map(Number),
    sees: (address: number) => (stdin.write(`${address}\n`), line(++asked)),
    end: async () => (stdin.end(), (await command.result).exitCode),
  };
}

it('each card reads and writes the memory of its own guest, at an address that both guests have', async () => {
  const cards = rigs.map((rig) => rig.card<ProbeCard>('probe'));
  const programs = await Promise.all(rigs.map((rig, index) => hold(rig, TEXTS[index]!)));
  const [first, second] = programs.map(({ addresses }) => addresses);
  const address = first!.find((each) => second!.includes(each))!;
  expect(address, `pages at ${String(first)} and ${String(second)}`).toBeDefined();
  for (const at of [0, 32, 1 << 20])
    expect(await Promise.all(cards.map((card) => card.read(address + at, 32)))).toEqual(TEXTS);
  await cards[0]!.write(address, 'BY THE FIRST, ');
  expect(await programs[1]!.sees(address)).toContain(TEXTS[1]);
  await cards[1]!.write(address, 'BY THE SECOND,');
  expect(await programs[0]!.sees(address)).toMatch(/^BY THE FIRST, /);
  expect(await programs[1]!.sees(address)).toMatch(/^BY THE SECOND,/);
  expect(await Promise.all(programs.map(({ end }) => end()))).toEqual([0, 0]);
});
