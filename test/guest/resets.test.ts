/** Resets that Linux makes: which it chooses, what a card keeps, and a card that is slow after one. */
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type CardIdentity } from '../../emulator/pci';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { GUEST_ARCHES, hostArch } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { ResetCard } from '../support/reset-card';
import { installProgram, startRig } from '../support/rig';

const LIMIT = { timeout: 20_000 };
/** Longer than the kernel waits before it says so (1 s), and far shorter than its limit of 60 s. */
const SLOW_NS = 2e9;

/** The kernel turns decoding off before a reset: docs/limits.md, on reads that nobody claims. */
const NOBODY_ANSWERS = { amd64: '0x00000000', arm64: '0xFFFFFFFF' };

/** Offsets in configuration space. */
const COMMAND = 0x04;
const BAR0 = 0x10;
const DEVICE_CONTROL = 0x88;

const IDENTITIES: Record<string, Partial<CardIdentity>> = {
  usual: {},
  noFlr: { functionLevelReset: false },
  softReset: { functionLevelReset: false, noSoftReset: false },
  slow: { readyAfterNs: { flr: SLOW_NS } },
  slowed: {},
};
const FAULTS: Record<string, readonly FaultDeclaration[]> = {
  slowed: [{ fault: 'reset-slow', forNs: SLOW_NS }],
};

describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
  let rig: Rig;
  const notices: string[] = [];
  beforeAll(async () => {
    const cards = Object.entries(IDENTITIES).map(([name, identity]) => ({
      name,
      make: (environment: ConstructorParameters<typeof ResetCard>[1]) => new ResetCard(identity, environment),
      faults: FAULTS[name] ?? [],
    }));
    rig = await startRig({ arch, cards, onNotice: (_, { kind }) => notices.push(kind) });
  });
  afterAll(() => rig?.close());

  const shell = async (script: string) => {
    const { exitCode, stdout, stderr } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 60_000 });
    expect(exitCode, String(stderr)).toBe(0);
    return String(stdout).trim();
  };
  /** Has the kernel reset the card, by its first method or by `method`. */
  const reset = async (name: string, method?: string) => {
    const folder = `/sys/bus/pci/devices/${await rig.guest.pciAddressOf(name)}`;
    const card = rig.card<ResetCard>(name);
    const { pciAddress } = await rig.bind(name, 'uio_pci_generic');
    await shell(`gc-reg --device ${pciAddress} 0=0 >/dev/null`); // turns memory decoding on
    card.change(0x55);
    const methods = await shell(`cat ${folder}/reset_method`);
    if (method !== undefined) await shell(`echo ${method} >${folder}/reset_method`);
    await shell(`echo 1 >${folder}/reset`);
    await shell(`gc-reg --device ${pciAddress} 0=0 >/dev/null`); // BARs and decoding are as before
    return { methods, resets: card.resets, values: card.values };
  };

  it('a reset is a function-level reset, which leaves what survives it (PCIe 6.6.2)', async () => {
    expect(await reset('usual')).toEqual({ methods: 'flr bus', resets: ['flr'], values: [0, 0x55, 0x55] });
  });

  it('a secondary bus reset succeeds, because the port reports its link (PCIe 6.6.1)', async () => {
    expect(await reset('usual', 'bus')).toMatchObject({ resets: ['device'], values: [0, 0, 0x55] });
  });

  it('a card without a function-level reset is reset by its bus', async () => {
    expect(await reset('noFlr')).toEqual({ methods: 'bus', resets: ['device'], values: [0, 0, 0x55] });
  });

  it('a card whose No_Soft_Reset bit is 0 is reset by D3hot', async () => {
    expect(await reset('softReset')).toEqual({ methods: 'pm bus', resets: ['d3hot'], values: [0, 0, 0x55] });
  });

  it('a card that is slow after a function-level reset is waited for', async () => {
    expect(await reset('slow')).toMatchObject({ resets: ['flr'], values: [0, 0x55, 0x55] });
    expect(await shell('dmesg')).toMatch(/not ready \d+ms after FLR; waiting[^]*: ready \d+ms after FLR/);
  });

  it('a card that a fault makes slow after a secondary bus reset is waited for', async () => {
    await shell('dmesg -c >/dev/null');
    expect(await reset('slowed', 'bus')).toMatchObject({ resets: ['device'], values: [0, 0, 0x55] });
    expect(await shell('dmesg')).toMatch(/not ready \d+ms after bus reset; waiting[^]*: ready \d+ms after bus reset/);
  });

  it('registers of a card that is slow after a reset read as nobody answers', async () => {
    const { pciAddress } = await rig.bind('slow', 'uio_pci_generic');
    const folder = `/sys/bus/pci/devices/${pciAddress}`;
    const address = (await shell(`cat ${folder}/resource`)).split(' ')[0];
    const card = rig.card<ResetCard>('slow');
    card.change(0x55);
    const resetting = shell(`echo 1 >${folder}/reset`);
    await vi.waitFor(() => expect(card.resets).toEqual(['flr']), LIMIT);
    const [seen] = await Promise.all([shell(`devmem ${address} 32`), resetting]);
    expect(seen).toBe(NOBODY_ANSWERS[arch]);
  });

  it('a function-level reset by hand clears the registers, and QEMU keeps the BARs for the guest (PCIe 6.6.2)', async () => {
    const { pciAddress } = await rig.bind('usual', 'uio_pci_generic');
    const card = rig.card<ResetCard>('usual');
    const config = `/sys/bus/pci/devices/${pciAddress}/config`;
    const read = (offset: number) => shell(`dd if=${config} bs=1 skip=${offset} count=4 2>/dev/null | od -An -tx4`);
    await shell(`gc-reg --device ${pciAddress} 0=0 >/dev/null`); // turns memory decoding on
    const bar = await read(BAR0);
    expect(bar).not.toMatch(/^0+$/);
    card.change(0x55);
    const write = (offset: number, byte: string) =>
      shell(`printf '${byte}' | dd of=${config} bs=1 seek=${offset} conv=notrunc 2>/dev/null`);
    await write(DEVICE_CONTROL + 1, '\\250'); // Initiate Function Level Reset
    expect({ resets: card.resets, values: card.values }).toEqual({ resets: ['flr'], values: [0, 0x55, 0x55] });
    expect(await read(COMMAND)).toMatch(/0000$/);
    expect(await read(BAR0)).toBe(bar); // 0 on hardware: docs/limits.md
    expect(notices).toEqual([]);
    await write(COMMAND, '\\002'); // Memory Space Enable
    expect(notices).toEqual(['flr-by-hand']);
  });

  // The program is compiled for the host.
  if (arch === hostArch()) {
    it('a hot reset through VFIO succeeds', async () => {
      const { pciAddress, node } = await rig.bind('usual', 'vfio-pci');
      const program = await installProgram(rig, join(__dirname, 'hot-reset.c'));
      const stdin = new PassThrough();
      let lines = '';
      const command = await rig.guest.start([program, node, pciAddress], {
        stdin,
        onStdout: (chunk) => void (lines += String(chunk)),
      });
      await vi.waitFor(() => expect(lines).toBe('opened\n'), LIMIT);
      const card = rig.card<ResetCard>('usual');
      card.change(0x55);
      stdin.end('\n');
      await vi.waitFor(() => expect(lines).toBe('opened\n0\n'), LIMIT);
      expect(card.resets[0]).toBe('device');
      expect((await command.result).exitCode).toBe(0);
    });
  }
});
