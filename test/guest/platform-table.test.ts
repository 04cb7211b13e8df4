/** Invalid tables of platform devices, and guests without the module: one clear line, and no device. */
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { type Rig } from '../../qemu/rig';
import { BlockCard, VECTORS } from '../support/block-card';
import { startRig } from '../support/rig';

const PAGE = 4096;
/** Where the table of a card with MSI-X is, and what is in it. */
const TABLE = { bar: 4, offset: 2 * PAGE } as const;
const AT = { magic: 0x00, major: 0x04, length: 0x08, crc: 0x0c, blockCount: 0x10, blockSize: 0x12 } as const;
/** Of the first block. */
const BLOCK = {
  name: 0x20,
  interrupt: 0x80,
  msixVector: 0x84,
  dmaMaskBits: 0x88,
  windowCount: 0x90,
  resetOffset: 0x9c,
  resetLimit: 0xa8,
  window0: { bar: 0xd0, offset: 0xd8, size: 0xe0 },
} as const;
/** Distance of blocks. */
const STRIDE = 624;

/** A card with a changed table, and a correct CRC unless that is what is tested. */
class TamperedCard extends BlockCard {
  tamper: (table: DataView) => void = () => {};
  mendCrc = true;

  override readRegion(region: number, offset: number, data: Uint8Array): void {
    super.readRegion(region, offset, data);
    if (region !== TABLE.bar || offset < TABLE.offset) return;
    const { buffer } = this.#table();
    data.set(new Uint8Array(buffer, offset - TABLE.offset, data.length));
  }

  #table(): DataView {
    const bytes = new Uint8Array(PAGE);
    super.readRegion(TABLE.bar, TABLE.offset, bytes);
    const view = new DataView(bytes.buffer);
    const length = view.getUint32(AT.length, true);
    this.tamper(view);
    if (this.mendCrc) {
      view.setUint32(AT.crc, 0, true);
      view.setUint32(AT.crc, crc32(bytes.subarray(0, length)), true);
    }
    return view;
  }
}

class PlainCard extends PciCard {
  readonly registers = this.registerBar(0, registerMap({ ID: { offset: 0, access: 'ro', reset: 1 } }));

  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4771, classCode: 0x12_00_00 }, environment);
  }
}

let rig: Rig;
let card: TamperedCard;
beforeAll(async () => {
  rig = await startRig({
    cards: [
      { name: 'tampered', make: (environment) => new TamperedCard(environment) },
      { name: 'plain', make: (environment) => new PlainCard(environment) },
    ],
  });
  card = rig.card<TamperedCard>('tampered');
});
afterAll(() => rig?.close());

const guestShell = async (script: string) => {
  const { stdout, stderr } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 30_000 });
  return `${stdout.toString()}${stderr.toString()}`.trim();
};
const platformDevices = () => guestShell('ls /sys/bus/platform/devices | grep -E "^(counter|filter)"');

describe('an invalid table', () => {
  const bad = 'no platform devices: the card.s table of them is invalid:';
  it.each<[string, RegExp, (table: DataView) => void, { mendCrc?: boolean }?]>([
    [
      'has a CRC that does not match',
      /its CRC-32 is 0x[0-9a-f]{8}, but that of its 1280 bytes is 0x[0-9a-f]{8}/,
      (table) => table.setUint8(0x200, 0x55),
      { mendCrc: false },
    ],
    ['is missing', /it begins with 0xffffffff, not with 0x54504347/, (table) => table.setUint32(AT.magic, 0xffff_ffff)],
    [
      'is of another major version',
      /its version is 2\.0, but this module supports 1\.x/,
      (table) => table.setUint8(AT.major, 2),
    ],
    [
      'has another length than its blocks',
      /its length of 1279 bytes does not match 2 blocks of 624 bytes each/,
      (table) => table.setUint32(AT.length, 1279, true),
    ],
    [
      'is longer than its BAR',
      /its length is \d+ bytes, but its BAR ends after 0x0*2000/,
      (table) => {
        table.setUint16(AT.blockCount, 60, true);
        table.setUint32(AT.length, 32 + 60 * 624, true);
      },
    ],
    ['has a name with a slash', /block 0: its name is invalid/, (table) => table.setUint8(BLOCK.name, 0x2f)],
    ['has a mask of 65 bits', /block 0: its DMA mask is invalid/, (table) => table.setUint8(BLOCK.dmaMaskBits, 65)],
    [
      'has more windows than a UIO device',
      /block 0: its number of windows and buffers is invalid/,
      (table) => table.setUint8(BLOCK.windowCount, 6),
    ],
    [
      'has a window beyond its BAR',
      /block 0: one of its windows is invalid/,
      (table) => table.setUint32(BLOCK.window0.offset, 0x4000_0000, true),
    ],
    [
      'has a window whose end is beyond all numbers',
      /block 0: one of its windows is invalid/,
      (table) => {
        table.setBigUint64(BLOCK.window0.offset, 2n ** 64n - BigInt(PAGE), true);
        table.setBigUint64(BLOCK.window0.size, 2n * BigInt(PAGE), true);
      },
    ],
    [
      'has a window of no bytes',
      /block 0: one of its windows is invalid/,
      (table) => table.setBigUint64(BLOCK.window0.size, 0n, true),
    ],
    [
      'has a page in two windows of a block',
      /blocks 0 and 0 share a page of a BAR/,
      (table) => table.setUint32(BLOCK.window0.bar, 2, true),
    ],
    [
      'has a page in windows of two blocks',
      /blocks 0 and 1 share a page of a BAR/,
      (table) => table.setBigUint64(BLOCK.window0.offset + STRIDE, 0n, true),
    ],
    [
      'has two blocks of one name',
      /blocks 0 and 1 share a name/,
      (table) => new Uint8Array(table.buffer).copyWithin(BLOCK.name + STRIDE, BLOCK.name, BLOCK.name + 32),
    ],
    [
      'has a name that does not end',
      /block 0: its name is invalid/,
      (table) => new Uint8Array(table.buffer).fill(0x61, BLOCK.name, BLOCK.name + 32),
    ],
    [
      'has the last vector of all numbers',
      /block 0: its interrupt is invalid/,
      (table) => table.setUint32(BLOCK.msixVector, 0xffff_ffff),
    ],
    [
      'has a vector that the card has not',
      /block 0: its interrupt is invalid/,
      (table) => table.setUint32(BLOCK.msixVector, 8, true),
    ],
    [
      'has two blocks on one vector',
      /blocks 0 and 1 share an MSI-X vector/,
      (table) => table.setUint32(BLOCK.msixVector + STRIDE, VECTORS.counter, true),
    ],
    [
      'has two blocks on INTx',
      /blocks 0 and 1 share INTx/,
      (table) => [0, STRIDE].forEach((block) => table.setUint32(BLOCK.interrupt + block, 1, true)),
    ],
    [
      'has a reset without a limit',
      /block 0: its reset is invalid/,
      (table) => table.setUint32(BLOCK.resetLimit, 0, true),
    ],
    [
      'has blocks that begin at odd addresses',
      /its length of 1282 bytes does not match 2 blocks of 625 bytes each/,
      (table) => {
        table.setUint16(AT.blockSize, 625, true);
        table.setUint32(AT.length, 32 + 2 * 625, true);
      },
    ],
    [
      'has a reset register beyond its window',
      /block 0: its reset is invalid/,
      (table) => table.setUint32(BLOCK.resetOffset, PAGE, true),
    ],
  ])(
    'which %s gives one line in the kernel’s log, and no device',
    async (_, words, tamper, { mendCrc = true } = {}) => {
      Object.assign(card, { tamper, mendCrc });
      const line = new RegExp(`ghostcard 0000:\\S+: ${bad} ${words.source}`);
      await guestShell('dmesg -c');
      await expect(rig.bind('tampered', 'uio_pdrv_genirq')).rejects.toThrow(line);
      expect(await guestShell('dmesg | grep "ghostcard.*0000:" | grep -vcE "ghostcard-bind|enabling device"')).toBe(
        '1',
      );
      expect(await platformDevices()).toBe('');
    },
  );

  it('has no effect once the card has a valid one', async () => {
    Object.assign(card, { tamper: () => {}, mendCrc: true });
    await rig.bind('tampered', 'uio_pdrv_genirq');
    expect((await platformDevices()).split('\n')).toHaveLength(2);
  });
});

it('a card without a table is refused with the reason, and can be bound to a driver for PCI cards', async () => {
  await expect(rig.bind('plain', 'vfio-platform')).rejects.toThrow(
    /the driver ghostcard refuses \S+; kernel log meanwhile: [^]*the card has no table of platform devices/,
  );
  await expect(rig.bind('plain', 'vfio-pci')).resolves.toMatchObject({ node: '/dev/vfio/noiommu-0' });
});

it('a kernel without the module is reported, with where the module is', async () => {
  await rig.bind('tampered', 'none');
  await guestShell('rmmod ghostcard && mv /lib/modules/*/ghostcard.ko /tmp');
  await expect(rig.bind('tampered', 'uio_pdrv_genirq')).rejects.toThrow(
    /the guest's kernel has no module ghostcard, which creates a card's platform devices\..* guest-tools\/modules/,
  );
  await guestShell('mv /tmp/ghostcard.ko /lib/modules/*/');
  await expect(rig.bind('tampered', 'uio_pdrv_genirq')).resolves.toMatchObject({ node: '/dev/uio0' });
});
