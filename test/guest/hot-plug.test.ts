/** Cards that come and go while the guest runs: orderly, by surprise, and while a program has them open. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { reference, runApp, startRig } from '../support/rig';

/** A card that takes more 32-bit address space than is reserved for a slot. */
class WideCard extends PciCard {
  constructor(sizeMiB: number, environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4744, classCode: 0x12_00_00 }, environment);
    this.memoryBar(0, sizeMiB * 2 ** 20, { width: 32, prefetchable: false });
  }
}

const GIB = 2 ** 30;

/** A card with on-board memory of which only little is touched. */
class LargeCard extends PciCard {
  readonly memory;

  constructor(sizeGiB: number, mappable: boolean, environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4745, classCode: 0x12_00_00 }, environment);
    this.memory = this.memoryBar(2, sizeGiB * GIB, { mappable });
  }

  wordAt(offset: number): number {
    const data = new Uint8Array(4);
    this.memory.read(offset, data);
    return new DataView(data.buffer).getUint32(0, true);
  }
}

const large = (sizeGiB: number, mappable: boolean) => ({
  name: 'large',
  make: (environment: CardEnvironment) => new LargeCard(sizeGiB, mappable, environment),
  driver: 'uio_pci_generic',
});

describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
  let rig: Rig;
  const events: string[] = [];
  beforeAll(async () => {
    rig = await startRig({ arch, cards: [], onCardEvent: (card, message) => events.push(`${card}: ${message}`) });
  });
  afterAll(() => rig?.close());

  const guestShell = async (script: string) => {
    const { stdout, stderr } = await rig.guest.run(['sh', '-c', script]);
    return `${stdout.toString()}${stderr.toString()}`.trim();
  };

  it('a card that is plugged into the running guest works under its driver like any other', async () => {
    const { pciAddress, node } = await rig.plug({ name: 'first', make: reference(), driver: 'uio_pci_generic' });
    expect(node).toBe('/dev/uio0');
    expect(await guestShell(`cat /sys/bus/pci/devices/${pciAddress}/vendor`)).toBe('0x1234');
    await runApp(rig, 'first', ['gc-loopback', '--irq', 'intx']);
  });

  it('an orderly removal runs the driver’s remove, and takes function and device node away', async () => {
    const pciAddress = await rig.guest.pciAddressOf('first');
    await rig.unplug('first');
    expect(await guestShell(`ls -d /sys/bus/pci/devices/${pciAddress} /dev/uio0 2>&1`)).toMatch(
      /devices\/\S+: No such file[^]*uio0: No such file/,
    );
    expect(rig.cards).toEqual([]);
    await expect(rig.guest.pciAddressOf('first')).rejects.toThrow("This guest has no card 'first'. Its cards: none.");
  });

  it('a card may have the name of one that was unplugged, and another driver', async () => {
    const { node } = await rig.plug({ name: 'first', make: reference(), driver: 'vfio-pci' });
    expect(node).toMatch(/^\/dev\/vfio\/noiommu-/);
    await runApp(rig, 'first', ['gc-loopback', '--irq', 'msix']);
    await rig.unplug('first');
  });

  it('a card whose link is down reads as all ones, also where its memory is mapped', async () => {
    await rig.plug({ name: 'pulled', make: reference({ mapMemory: true }), driver: 'uio_pci_generic' });
    const device = await rig.guest.pciAddressOf('pulled');
    const readMemory = `hexdump -n 8 -e '8/1 "%02x"' /sys/bus/pci/devices/${device}/resource2`;
    await runApp(rig, 'pulled', ['gc-memtest']);
    expect(await guestShell(readMemory)).not.toBe('ffffffffffffffff');
    rig.severLink('pulled');
    const { exitCode, stderr } = await rig.guest.run(['gc-identify', '--device', device]);
    expect(exitCode).not.toBe(0);
    expect(stderr.toString()).toContain('its ID register holds 0xffffffff');
    expect(await guestShell(`cat /sys/bus/pci/devices/${device}/config | hexdump -n 4 -e '4/1 "%02x"'`)).toBe(
      'ffffffff',
    );
  });

  it('after a surprise removal, the guest does not have the card any more', async () => {
    const device = await rig.guest.pciAddressOf('pulled');
    await rig.surpriseRemove('pulled');
    expect(await guestShell(`[ -e /sys/bus/pci/devices/${device} ] || echo gone`)).toBe('gone');
    expect(await guestShell('echo 1 >/sys/bus/pci/rescan; ls /sys/bus/pci/drivers/uio_pci_generic')).not.toContain(
      '0000:',
    );
  });

  it('after a surprise removal under VFIO, the card is gone when the driver ends, without the wait for a reset', async () => {
    await rig.plug({ name: 'vfio', make: reference(), driver: 'vfio-pci' });
    const device = await rig.guest.pciAddressOf('vfio');
    const { registers } = rig.card<ReferenceCard>('vfio');
    const driver = await rig.guest.start(['gc-irq', '--device', device, '--count', '1000000000'], {
      timeoutMs: 100_000,
    });
    await expect.poll(() => registers.get('IRQ_COUNT'), { timeout: 20_000 }).toBeGreaterThan(0);
    const removal = rig.surpriseRemove('vfio', { timeoutMs: 30_000 }); // the kernel would wait 60 s for a reset
    await expect.poll(() => guestShell('dmesg'), { timeout: 20_000 }).toContain('blocked until released by user');
    driver.signal('SIGTERM');
    await removal;
    expect((await driver.result).signal).toBe('SIGTERM');
    expect(rig.cards).toEqual([]);
  });

  it('a card works in the place of one that was removed by surprise while vfio-pci had it sleep in D3hot', async () => {
    for (const driver of ['vfio-pci', 'uio_pci_generic']) {
      await rig.plug({ name: 'sleeping', make: reference(), driver });
      await runApp(rig, 'sleeping', ['gc-loopback', '--max-size', '4096']);
      await rig.surpriseRemove('sleeping');
    }
  });

  it('a restart of a card is reported, and plugs in a new one under the same driver', async () => {
    await rig.plug({ name: 'board', make: reference(), driver: 'uio_pci_generic' });
    const before = rig.card('board');
    const { node } = await rig.restartCard('board');
    expect(node).toBe('/dev/uio0');
    expect(rig.card('board')).not.toBe(before);
    expect(events).toContain("board: the card 'board' is being restarted; the guest loses it and gets a new one");
    await runApp(rig, 'board', ['gc-identify']);
  });

  it('a driver that keeps its card is named, and the guest runs on; once released, the card can be unplugged', async () => {
    await rig.plug({ name: 'held', make: reference(), driver: 'vfio-pci' });
    const device = await rig.guest.pciAddressOf('held');
    const holding = rig.guest.channel.start(['gc-irq', '--device', device, '--count', '1000000000'], {
      timeoutMs: 100_000,
    });
    const card = rig.card<ReferenceCard>('held');
    try {
      await expect.poll(() => card.registers.get('IRQ_COUNT'), { timeout: 20_000 }).toBeGreaterThan(0);
      await expect(rig.unplug('held', { timeoutMs: 3000 })).rejects.toThrow(
        /The guest has not released the card 'held' \(\S+\): ghostcard-unplug: vfio-pci has not released \S+ within 3 s: gc-irq \(process \d+, \w \(\w+\)\) has \/dev\/vfio\/noiommu-\d+ open, and is [^;]*; *the removal is in the kernel, at \S+ from [^;]*vfio/,
      );
    } finally {
      holding.signal('SIGKILL'); // the removal that waits for it keeps out every card of the tests to come
      await holding.result;
    }
    expect(await guestShell('echo alive')).toBe('alive');
    await rig.unplug('held');
    expect(await guestShell(`[ -e /sys/bus/pci/devices/${device} ] || echo gone`)).toBe('gone');
  });

  it('a card that is plugged in again has the address that it had, more often than there are slots', async () => {
    const make = reference({ mapMemory: true }); // QEMU's mapping of the first card's memory is that of all
    const plug = (n: number) => rig.plug({ name: 'again', make, driver: n % 2 === 0 ? 'uio_pci_generic' : 'vfio-pci' });
    const { pciAddress } = await plug(0);
    const free = rig.guest.freeSlots;
    for (let n = 1; n <= 10; n++) {
      await (n % 3 === 0 ? rig.surpriseRemove('again') : rig.unplug('again'));
      const { registers } = rig.card<ReferenceCard>('board');
      expect(registers.get('ID')).toBe(0x4748_4331); // the others are not touched
      expect((await plug(n)).pciAddress).toBe(pciAddress);
    }
    await runApp(rig, 'again', ['gc-memtest']);
    await runApp(rig, 'again', ['gc-loopback', '--irq', 'intx']);
    expect(rig.guest.freeSlots).toBe(free);
  });

  it('a slot that is switched off has no card, and has it back at its address when it is switched on', async () => {
    const pciAddress = await rig.guest.pciAddressOf('again');
    const slot = `$(grep -l ${pciAddress.split('.')[0]} /sys/bus/pci/slots/*/address | xargs dirname)`;
    const lists = `; ls /sys/bus/pci/devices | grep -c ${pciAddress}`;
    expect(await guestShell(`echo 0 >${slot}/power${lists}`)).toBe('0');
    expect(await guestShell(`echo 1 >${slot}/power${lists}`)).toBe('1');
    await rig.bind('again', 'vfio-pci');
    await runApp(rig, 'again', ['gc-loopback', '--irq', 'msix']);
    await rig.unplug('again');
  });

  const expectBothEnds = async (machine: Rig, sizeGiB: number, name = 'large') => {
    const device = await machine.guest.pciAddressOf(name);
    const last = sizeGiB * GIB - 4;
    const accesses = ['0x10=5', `${last}=0x1234567`, '0x10', `${last}`];
    const { stdout, stderr } = await machine.guest.run(['gc-reg', '--device', device, '--bar', '2', ...accesses]);
    expect(stdout.toString(), stderr.toString()).toMatch(/0x0*5\b[^]*0x0*1234567\b/);
    const card = machine.card<LargeCard>(name);
    expect([card.wordAt(0x10), card.wordAt(last), card.wordAt(GIB)]).toEqual([5, 0x1234567, 0]);
  };

  it.each([false, true])('a BAR of 8 GiB of a card that is plugged in works, mappable: %s', async (mappable) => {
    await rig.plug(large(8, mappable));
    await expectBothEnds(rig, 8);
    await rig.unplug('large');
  });

  it('a BAR that no slot has room for is refused before the guest gets it', async () => {
    await expect(rig.plug(large(32, false))).rejects.toThrow(/has 32 GiB of 64-bit prefetchable BARs.*has room for/);
    expect(rig.cards).not.toContain('large');
  });

  it('a card that needs more address space than the running guest has is refused with the sizes', async () => {
    const make = (environment: CardEnvironment) => new WideCard(2048, environment);
    await expect(rig.plug({ name: 'widest', make })).rejects.toThrow(
      /its BAR 0 has 2 GiB and is not 64-bit and prefetchable, so it must lie below 4 GiB, where no guest has/,
    );
  });

  it('a card that needs more address space than a slot has is there after a boot, beside a mappable BAR', async () => {
    const make = (environment: CardEnvironment) => new WideCard(256, environment);
    const cards = [{ name: 'wide', make }, large(64, false), { ...large(8, true), name: 'mappable' }];
    await using cold = await startRig({ arch, cards, start: 'cold' });
    await expect(cold.guest.pciAddressOf('wide')).resolves.toBe('0000:01:00.0');
    await expectBothEnds(cold, 64);
    await expectBothEnds(cold, 8, 'mappable');
  });

  it('without a free slot, a card is refused with the number of slots', async () => {
    const full = async () => {
      for (let n = 0; n <= 8; n++) await rig.plug({ name: `more${n}`, make: reference() });
    };
    await expect(full()).rejects.toThrow(
      /There is no empty slot for the card 'more\d': of 8, \d held cards that have been/,
    );
    await runApp(rig, 'board', ['gc-identify']);
  });
});
