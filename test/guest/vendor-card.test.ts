/**
 * A card as vendors build them, as a guest sees it through QEMU: MSI-X table in a BAR of mapped memory, capabilities of the
 * author's at fixed places, registers between them, an expansion ROM, an I/O BAR. The BAR of the registers that contains
 * the table, with interrupts, is tested by examples/kernel-module.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { vsecRegisters } from '../../emulator/pci/capabilities/custom';
import { registerMap } from '../../emulator/registers';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { startRig } from '../support/rig';

const PORTS = registerMap({ DATA: { offset: 4, access: 'rw', reset: 0x11 } }, { sizeBytes: 32 });
const BUILD = registerMap({
  DATE: { offset: 0x4, access: 'ro', reset: 0x2026_1130 },
  SCRATCH: { offset: 0x8, access: 'rw', reset: 5 },
});
const VSEC = registerMap({
  ...vsecRegisters({ id: 0x20, revision: 2, lengthBytes: 0x10 }),
  CONTROL: { offset: 0x8, access: 'rw' },
});
/** A header that the kernel accepts: signature, and a PCI data structure of one block of 512 bytes. */
const ROM = Buffer.alloc(2048);
ROM.set([0x55, 0xaa]);
ROM.writeUInt16LE(0x1c, 0x18);
ROM.write('PCIR', 0x1c);
ROM.writeUInt16LE(0x10ee, 0x20);
ROM.writeUInt16LE(0x9031, 0x22);
ROM.writeUInt16LE(4, 0x2c);
ROM[0x31] = 0x80;
ROM.write('hello from the ROM', 0x100);

class VendorCard extends PciCard {
  readonly ports = this.registerBar(0, PORTS, { io: true });
  readonly memory = this.memoryBar(2, 0x1_0000, { mappable: true });
  readonly build = this.capability({ name: 'BUILD', id: 0x09, map: BUILD, offset: 0xb0 });
  readonly vsec = this.extendedCapability({ name: 'VSEC', id: 0x0b, map: VSEC });
  readonly patch = this.configRegisters({ name: 'PATCH', map: registerMap({ KEY: { offset: 0xf8, access: 'rw' } }) });

  constructor(environment: CardEnvironment = {}) {
    super(
      {
        ...{ vendorId: 0x10ee, deviceId: 0x9031, classCode: 0x12_00_00, serialNumber: 0x0123_4567_89ab_cdefn },
        msi: { vectors: 1 },
        msix: { bar: 2, vectors: 8, tableOffset: 0x2000, pbaOffset: 0x3000 },
        capabilityOffsets: { PM: 0x40, MSI: 0x48, PCIE: 0x60, MSIX: 0x9c },
      },
      environment,
    );
    this.capability({ name: 'SECOND', id: 0x09, map: BUILD });
    this.extendedCapability({ name: 'SRIOV', id: 0x10, map: registerMap({ VFS: { offset: 0x3c, access: 'ro' } }) });
    this.extendedCapability({ name: 'LTR', id: 0x18, map: registerMap({ LATENCY: { offset: 4, access: 'rw' } }) });
    this.expansionRom(ROM);
  }
}

describe.each(GUEST_ARCHES)('in a guest of %s, a card as vendors build them', (arch) => {
  let rig: Rig;
  let device: string;
  beforeAll(async () => {
    rig = await startRig({ arch, cards: [{ name: 'vendor', make: (environment) => new VendorCard(environment) }] });
    device = `/sys/bus/pci/devices/${(await rig.bind('vendor', 'uio_pci_generic')).pciAddress}`;
  });
  afterAll(() => rig?.close());

  const card = () => rig.card<VendorCard>('vendor');
  const sh = async (script: string): Promise<Buffer> => {
    const { exitCode, stdout, stderr } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 30_000 });
    expect(exitCode, stderr.toString()).toBe(0);
    return stdout;
  };

  it('has its capabilities at their places, and a chain without what QEMU hides', async () => {
    const config = await sh(`cat ${device}/config`);
    const chain: string[] = [];
    for (let at = config[0x34]!; at !== 0; at = config[at + 1]!)
      chain.push(`${config[at]!.toString(16)}@${at.toString(16)}`);
    expect(chain).toEqual(['1@40', '5@48', '10@60', '11@9c', '9@b0', '9@bc']);
    const extended: string[] = [];
    for (let at = 0x100; at !== 0; at = config.readUInt32LE(at) >>> 20)
      extended.push(config.readUInt16LE(at).toString(16));
    expect(extended).toEqual(['3', 'b', '18', '1']);
    expect([0xb4, 0x110].map((at) => config.readUInt32LE(at))).toEqual([0x2026_1130, 0x0102_0020]);
  });

  it('has registers in configuration space that the guest writes, and hooks see it', async () => {
    card().patch.onWrite('KEY', ({ value }) => card().build.set('DATE', value));
    await sh(
      `for at in 248 184 276; do printf '\\1\\2\\3\\4' | dd of=${device}/config bs=4 seek=$((at/4)) 2>/dev/null; done`,
    );
    expect([card().patch.get('KEY'), card().build.get('SCRATCH'), card().vsec.get('CONTROL')]).toEqual(
      Array(3).fill(0x0403_0201),
    );
    expect((await sh(`cat ${device}/config`)).readUInt32LE(0xb4)).toBe(0x0403_0201);
  });

  it('shows mapped memory around the MSI-X table, and the table in its place', async () => {
    card().memory.bytes.set([1, 2, 3, 4], 0x1ffc);
    card().memory.bytes.fill(0xee, 0x2000, 0x3000);
    const at = [
      '0x1ffc',
      '0x2000=0xfee00000',
      '0x2000',
      '0x200c',
      '0x3000',
      '0x1000=0x1234',
      '0x4000=0x5678',
      '0x2800',
    ];
    const { stdout } = await rig.guest.run(['gc-reg', '--bar', '2', ...at], {
      timeoutMs: 30_000,
      env: { GHOSTCARD_PCI_ADDRESS: device.split('/').at(-1)! },
    });
    expect(stdout.toString()).toContain(
      '0x1ffc = 0x04030201\n0x2000 <- 0xfee00000\n0x2000 = 0xfee00000\n0x200c = 0x00000001\n0x3000 = 0x00000000\n',
    );
    expect(stdout.toString()).toContain('0x2800 = 0xeeeeeeee');
    expect([0x1000, 0x4000].map((offset) => card().memory.bytes[offset])).toEqual([0x34, 0x78]);
  });

  it('has a ROM that the guest reads through sysfs', async () => {
    expect(await sh(`echo 1 > ${device}/rom; dd if=${device}/rom bs=1 skip=256 count=18 2>/dev/null`)).toEqual(
      Buffer.from('hello from the ROM'),
    );
  });

  it('has I/O ports', async () => {
    const port = `dd if=${device}/resource0 bs=4 skip=1 count=1 2>/dev/null`;
    const write = `printf '\\7\\0\\0\\0' | dd of=${device}/resource0 bs=4 seek=1 2>/dev/null`;
    expect((await sh(`${port}; ${write}; ${port}`)).toString('hex')).toBe('1100000007000000');
    expect(card().ports.get('DATA')).toBe(7);
  });
});
