/**
 * A card with several blocks, each of which the guest's module makes a platform device: under every driver for those, and
 * from any driver to any other. For the apps of guest-tools on the reference card see drivers.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type BoundCard } from '../../qemu/launch';
import { cardVariables, type Rig } from '../../qemu/rig';
import { type Block, BlockCard, BLOCKS, MASK_BITS } from '../support/block-card';
import { mapsHaveDmaAddresses, reference, runApp, startRig } from '../support/rig';

const PAGE = 4096;
const KiB = 1024;

describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
  let rig: Rig;
  let card: BlockCard;
  beforeAll(async () => {
    rig = await startRig({ arch, cards: [{ name: 'card', make: (environment) => new BlockCard(environment) }] });
    card = rig.card<BlockCard>('card');
  });
  afterAll(() => rig?.close());

  const guestShell = async (script: string) => {
    const { stdout, stderr, timedOut } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 30_000 });
    expect(timedOut, `no end of: ${script}`).toBe(false);
    return `${stdout.toString()}${stderr.toString()}`.trim();
  };
  /** The card is the first one behind the first root port: bus 1. */
  const device = (block: Block) => `${block}.256`;
  /** Writes and reads back, since writes are posted: the write has arrived when this resolves. */
  const write = (block: Block, window: string, offset: string, value: number) =>
    runApp(rig, 'card', ['gc-reg', '--window', window, `${offset}=${value}`, offset], device(block));
  const kernelComplaints = () =>
    guestShell(
      // On amd64, newer kernels warn of vfio-platform's own call for a region that was never read (docs/drivers.md).
      'dmesg | sed "/WARNING.*iounmap/,/end trace/d" | grep -vi "command line" | grep -iE "warning|bug:|oops|call trace"',
    );
  const node = ({ platformDevices = [] }: BoundCard, block: Block) =>
    platformDevices.find(({ name }) => name === device(block))!.node;

  describe('under uio_pdrv_genirq', () => {
    let bound: BoundCard;
    beforeAll(async () => {
      bound = await rig.bind('card', 'uio_pdrv_genirq');
    });

    it('each block is a platform device with a node of its own, in the order of the table', () => {
      expect(bound).toEqual({
        pciAddress: '0000:01:00.0',
        node: '/dev/uio0',
        platformDevices: [
          { name: 'counter.256', node: '/dev/uio0' },
          { name: 'filter.256', node: '/dev/uio1' },
        ],
      });
      expect(cardVariables([bound])).toEqual({
        GHOSTCARD_PCI_ADDRESS: '0000:01:00.0',
        GHOSTCARD_DEVICE: '/dev/uio0',
        GHOSTCARD_PLATFORM_DEVICE: 'counter.256',
        GHOSTCARD_PLATFORM_DEVICES: 'counter.256=/dev/uio0 filter.256=/dev/uio1',
      });
    });

    it('the windows have their names and sizes, in UIO and in reg_names', async () => {
      const maps = `cd /sys/bus/platform/devices/${device('filter')} && for map in uio/*/maps/*; do echo $(cat $map/name $map/size); done; cat reg_names`;
      expect((await guestShell(maps)).split('\n')).toEqual([
        'registers 0x0000000000001000',
        'taps 0x0000000000004000',
        'results 0x0000000000008000',
        ...['registers', 'taps', 'results'],
      ]);
    });

    it('every window of every block leads to its own part of the card', async () => {
      await write('counter', 'registers', '0', 0x1111_1111);
      await write('filter', 'registers', '0', 0x2222_2222);
      await write('counter', 'table', '0x3ffc', 0x3333_3333);
      await write('filter', 'taps', '0', 0x4444_4444);
      await write('filter', 'results', '0x7ffc', 0x5555_5555);
      expect(BLOCKS.map((block) => card.scratchOf(block))).toEqual([0x1111_1111, 0x2222_2222]);
      const memory = Buffer.from(card.memory.bytes);
      const words = [4 * PAGE - 4, 4 * PAGE, 16 * PAGE - 4].map((offset) => memory.readUInt32LE(offset));
      expect(words).toEqual([0x3333_3333, 0x4444_4444, 0x5555_5555]);
    });

    it('every block gets its own interrupt and no other; a disabled one is kept until it is enabled again', async () => {
      const [counter, filter] = BLOCKS.map((block) => node(bound, block));
      const trigger = (block: Block) => `gc-reg --device ${device(block)} --window registers 4=1 >/dev/null`;
      const take = (fd: number) => `dd bs=4 count=1 <&${fd} 2>/dev/null | hexdump -e '1/4 "%u\\n"'`;
      const count = `awk '$NF == "counter" || $NF == "filter" { print $2 }' /proc/interrupts`;
      const lines = await guestShell(
        [
          `exec 3<>${counter} 4<>${filter}`,
          `${trigger('filter')}; ${take(4)}`,
          // The UIO driver has disabled it: this one is delivered when it is enabled.
          `${trigger('filter')}; ${count}; printf '\\1\\0\\0\\0' >&4; ${take(4)}`,
          `printf '\\1\\0\\0\\0' >&4; ${trigger('counter')}; ${take(3)}; ${count}`,
        ].join('\n'),
      );
      expect(lines.split('\n')).toEqual([...['1'], ...['0', '1'], ...['2'], ...['1'], ...['1', '2']]);
    });
  });

  it('under uio_dmem_genirq: the kernel allocates the buffers below the mask, and frees them', async () => {
    const bound = await rig.bind('card', 'uio_dmem_genirq');
    const maps = `for map in /sys/bus/platform/devices/counter.256/uio/*/maps/*; do echo $(cat $map/name $map/size $map/addr); done`;
    const mapOf = (line: string) => {
      const [name = '', size, address] = line.split(' ');
      return { name, sizeBytes: Number(size), address: BigInt(address!) };
    };
    const open = `exec 3<>${node(bound, 'counter')}; ${maps}; cat /sys/bus/platform/devices/${device('counter')}/dma_addresses`;
    const lines = (await guestShell(open)).split('\n');
    const [registers, table, ...buffers] = lines.slice(0, 5).map(mapOf);
    const addresses = lines.slice(5).map(BigInt);
    if (mapsHaveDmaAddresses(arch)) expect(buffers.map(({ address }) => address)).toEqual(addresses);
    expect([registers!.name, table!.name]).toEqual(['registers', 'table']);
    expect(buffers.map(({ name, sizeBytes }) => [name, sizeBytes / KiB])).toEqual([
      ['ring', 4],
      ['log', 256],
      ['scratch', 12],
    ]);
    for (const [index, { sizeBytes }] of buffers.entries()) {
      const address = addresses[index]!;
      expect(address % BigInt(PAGE)).toBe(0n);
      expect(address + BigInt(sizeBytes)).toBeLessThanOrEqual(1n << BigInt(MASK_BITS));
    }
    const closed = (await guestShell(maps)).split('\n').map(mapOf);
    expect(closed.slice(2).map(({ address }) => address)).toEqual(new Array(3).fill(0xffff_ffff_ffff_ffffn));
  });

  it('under vfio-platform: opening and closing a block resets that block alone', async () => {
    await rig.bind('card', 'vfio-platform');
    const before = { ...card.resets };
    await write('filter', 'results', '0x10', 0x6666_6666);
    expect(card.resets).toEqual({ counter: before.counter, filter: before.filter + 2 });
    expect(Buffer.from(card.memory.bytes).readUInt32LE(8 * PAGE + 0x10)).toBe(0x6666_6666);
  });

  it('under vfio-platform: a reset that does not end is reported with its limit, and the device is not opened', async () => {
    await rig.bind('card', 'vfio-platform');
    card.stuck = true;
    try {
      const argv = ['gc-reg', '--device', device('counter'), '--window', 'registers', '0'];
      expect((await rig.guest.run(argv, { timeoutMs: 30_000 })).exitCode).not.toBe(0);
    } finally {
      card.stuck = false;
    }
    expect(await guestShell('dmesg | grep "still busy"')).toMatch(
      /counter\.256: reset: still busy after 50000 us \(the register reads 0x80, the busy mask is 0x80\)/,
    );
    await write('counter', 'registers', '0', 1);
  });

  it('any driver may follow any other, on the platform devices and on the PCI function', async () => {
    const platform = ['uio_pdrv_genirq', 'uio_dmem_genirq', 'vfio-platform'];
    const drivers = [...platform, 'vfio-pci', 'ghostcard', 'none'];
    // All pairs: from each driver to each other one, and back.
    const walk = drivers.flatMap((first, index) => drivers.slice(index + 1).flatMap((second) => [first, second]));
    for (const driver of walk) {
      await rig.bind('card', driver);
      if (!platform.includes(driver)) continue;
      await write('filter', 'registers', '0', 0x600d);
      await write('counter', 'table', '0', 0x600d);
    }
    expect(await kernelComplaints()).toBe('');
  });

  it('two cards on one interrupt line do not claim each other’s interrupts', async () => {
    // Root ports take the four lines of the machine in turn.
    for (const name of ['second', 'third', 'fourth', 'fifth', 'sixth']) {
      const driver = ['second', 'sixth'].includes(name) ? 'uio_pdrv_genirq' : 'none';
      await rig.plug({ name, make: reference(), driver });
    }
    const shared = await guestShell(`grep -cE 'ghostcard, ghostcard' /proc/interrupts`);
    expect(shared).toBe('1');
    const reports = await Promise.all(['second', 'sixth'].map((name) => runApp(rig, name, ['gc-irq'])));
    expect(reports.map(({ irq_mode }) => irq_mode)).toEqual(['line', 'line']);
  });

  it('a card whose link is down, so that it reads as all ones, does not claim those of another on its line either', async () => {
    const { node: gone, platformDevices } = await rig.bind('second', 'uio_pdrv_genirq');
    const events = () => guestShell(`cat /sys/bus/platform/devices/${platformDevices![0]!.name}/uio/*/event`);
    const before = await events();
    rig.severLink('second');
    await guestShell(`printf '\\1\\0\\0\\0' >${gone}`);
    await runApp(rig, 'sixth', ['gc-irq']);
    expect(await events()).toBe(before);
    await rig.surpriseRemove('second');
    await runApp(rig, 'sixth', ['gc-irq']);
  });

  it.each(['uio_dmem_genirq', 'vfio-platform'])(
    'a surprise removal under %s removes the platform devices of the card too',
    async (driver) => {
      const name = driver === 'vfio-platform' ? 'fifth' : 'fourth';
      const { platformDevices } = await rig.bind(name, driver);
      const child = platformDevices![0]!.name;
      await runApp(rig, name, ['gc-identify']);
      await rig.surpriseRemove(name);
      expect(await guestShell(`ls -d /sys/bus/platform/devices/${child}`)).toContain('No such file');
    },
  );

  it('a program that has a UIO device open at the surprise removal of its card ends', async () => {
    const { platformDevices } = await rig.bind('third', 'uio_pdrv_genirq');
    const child = platformDevices![0]!.name;
    const { registers } = rig.card<ReferenceCard>('third');
    const argv = ['gc-irq', '--device', child, '--count', '1000000000'];
    const driver = await rig.guest.start(argv, { timeoutMs: 100_000 });
    await expect.poll(() => registers.get('IRQ_COUNT'), { timeout: 20_000 }).toBeGreaterThan(0);
    await rig.surpriseRemove('third');
    driver.signal('SIGTERM');
    const { timedOut } = await driver.result;
    expect(timedOut).toBe(false);
    expect(await guestShell(`ls -d /sys/bus/platform/devices/${child}`)).toContain('No such file');
    expect(await kernelComplaints()).toBe('');
  });

  it('is driven by its platform devices until the last of them is unplugged', async () => {
    await rig.bind('card', 'uio_pdrv_genirq');
    await rig.unplug('card');
    expect(await guestShell('ls /sys/bus/platform/devices | grep -cE "^(counter|filter).256"')).toBe('0');
    expect(await kernelComplaints()).toBe('');
  });
});

it('where threads handle interrupts (threadirqs), a card may share its line with one under a driver for PCI cards', async () => {
  const names = ['first', 'second', 'third', 'fourth', 'fifth'];
  await using rig = await startRig({
    kernelAppend: 'threadirqs',
    cards: names.map((name) => ({ name, make: reference() })),
  });
  await rig.bind('first', 'uio_pci_generic');
  await rig.bind('fifth', 'uio_pdrv_genirq');
  const { stdout } = await rig.guest.run(['grep', '-c', 'uio_pci_generic, ghostcard', '/proc/interrupts']);
  expect(stdout.toString()).toBe('1\n');
  expect(await runApp(rig, 'first', ['gc-irq'])).toMatchObject({ irq_mode: 'intx' });
  expect(await runApp(rig, 'fifth', ['gc-irq'])).toMatchObject({ irq_mode: 'line' });
});
