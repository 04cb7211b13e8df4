/** The fixtures of ghostcard/vitest as a test of a driver uses them. What they do when a test fails: harness-failures.test.ts. */
import { constants } from 'node:os';
import { describe } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { expect, guestTest } from '../../harness';

const shared = guestTest({ scope: 'file', hostRoot: false });
const isolated = guestTest({ hostRoot: false });
const hosted = guestTest();

const reg = (...args: string[]) => ['gc-reg', ...args];

describe('a guest that the tests of a file share', () => {
  const bootIds: string[] = [];

  shared('has a card that its driver can access', async ({ guest }) => {
    const plugged = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    expect(plugged.node).toBe('/dev/uio0');
    const result = await guest.run(reg('0x0c=0x1234', '0x0c'));
    expect(result).toSucceed();
    expect(result).toPrint('0x00001234');
    expect(plugged.card).toHaveRegister('SCRATCH', 0x1234);
    bootIds.push((await guest.fetch('/proc/sys/kernel/random/boot_id')).toString());
  });

  shared('is the same in the next test, without the card', async ({ guest }) => {
    bootIds.push((await guest.fetch('/proc/sys/kernel/random/boot_id')).toString());
    expect(bootIds[1]).toBe(bootIds[0]);
    expect(guest.cards).toEqual([]);
    expect(await guest.run(['ls', '/sys/bus/pci/drivers/uio_pci_generic'])).not.toPrint('0000:');
  });

  shared('takes several cards, each with its driver, and gives commands their addresses', async ({ guest }) => {
    const first = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    const second = await guest.plug((environment) => new ReferenceCard({ ...environment, addressBits: 32 }), {
      driver: 'vfio-pci',
      name: 'narrow',
    });
    expect([first.name, second.name]).toEqual(['reference-card', 'narrow']);
    const script = 'echo $GHOSTCARD_PCI_ADDRESS $GHOSTCARD_DEVICE $GHOSTCARD_PCI_ADDRESS_2 $GHOSTCARD_DEVICE_2';
    expect(await guest.run(['sh', '-c', script])).toPrint(
      `${first.pciAddress} ${first.node} ${second.pciAddress} ${second.node}\n`,
    );
    expect(second.card).toHaveRegister('CAPABILITIES.ADDRESS_BITS', 32);
  });

  shared(
    'makes platform devices of a card for a driver for those, and gives commands their names',
    async ({ guest }) => {
      const plugged = await guest.plug(ReferenceCard, { driver: 'uio_pdrv_genirq' });
      const [device] = plugged.platformDevices;
      expect(device).toEqual({ name: expect.stringMatching(/^ghostcard-ref\.\d+$/), node: plugged.node });
      const script = 'echo $GHOSTCARD_PLATFORM_DEVICE $GHOSTCARD_DEVICE; gc-irq --json';
      const result = await guest.run(['sh', '-c', script]);
      expect(result).toSucceed();
      expect(result).toPrint(`${device!.name} ${device!.node}\n`);
      expect(result).toPrint(`"device":"${device!.name}","driver":"uio_pdrv_genirq","irq_mode":"line"`);
      await plugged.bind('vfio-pci');
      expect(plugged.platformDevices).toEqual([]);
    },
  );

  shared('shows the DMA and the interrupts of a card under a driver in the guest', async ({ guest }) => {
    const { card } = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    expect(await guest.run(['gc-loopback', '--irq', 'msix'])).toSucceed();
    expect(card).toHaveReadHost({ atLeastBytes: 4096 });
    expect(card).toHaveWrittenHost({ atLeastBytes: 4096 });
    expect(card).toHaveInterrupted(0, { by: 'msix' });
    expect(card).not.toHaveDmaError();
  });

  shared('lets a test wait for the card while a command runs', async ({ guest }) => {
    const { card } = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    const reached = expect(card).toReachRegister('SCRATCH', 7);
    expect(await guest.run(reg('0x0c=7'))).toSucceed();
    await reached;
  });
});

describe('a card under test control', () => {
  shared('can be unplugged and plugged in again', async ({ guest }) => {
    const plugged = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    const { card, pciAddress, node } = plugged;
    await plugged.unplug();
    expect([plugged.pciAddress, plugged.node]).toEqual([pciAddress, node]);
    await expect(plugged.unplug()).rejects.toThrow(
      "The card 'reference-card' is not plugged in: it has been unplugged.",
    );
    expect(await guest.run(['ls', `/sys/bus/pci/devices/${pciAddress}`])).not.toSucceed();
    await plugged.replug();
    expect(plugged.card).not.toBe(card);
    expect(await guest.run(reg('0x00'))).toPrint('0x47484331');
  });

  shared('reads as all ones after a surprise removal', async ({ guest }) => {
    const plugged = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    plugged.severLink();
    expect(await guest.run(reg('0x00'))).toPrint('0xffffffff');
    await plugged.surpriseRemove();
    expect(await guest.run(['ls', '/dev/uio0'])).not.toSucceed();
    await plugged.replug();
    expect(await guest.run(reg('0x00'))).toPrint('0x47484331');
  });

  shared('is removed without delay also when the VFIO driver closes it on reading all ones', async ({ guest }) => {
    const plugged = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    const lost = `[ "$(od -An -tx2 -N2 /sys/bus/pci/devices/${plugged.pciAddress}/config)" = ' ffff' ]`;
    const script = `gc-irq --count 1000000000 & until ${lost}; do :; done; kill $!; wait $!`;
    const driver = await guest.start(['sh', '-c', script]);
    await expect(plugged.card).toInterrupt(4);
    await plugged.surpriseRemove({ timeoutMs: 15_000 }); // the kernel would wait 60 s for a reset
    expect(await driver.result).toExitWith(128 + constants.signals.SIGTERM);
  });

  shared('can lose its link while a program uses it, which then reads all ones', async ({ guest }) => {
    const plugged = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    const polling = await guest.start([
      'sh',
      '-c',
      'while gc-reg 0x0c=1 0x00 | grep 0x47484331; do :; done; gc-reg 0x00',
    ]);
    await expect(plugged.card).toReachRegister('SCRATCH', 1);
    plugged.severLink();
    expect(await polling.result).toPrint('0xffffffff');
    await plugged.surpriseRemove();
    expect(await guest.run(['ls', '/dev/uio0'])).not.toSucceed();
  });

  shared('is unplugged after a test that leaves a program running', async ({ guest }) => {
    const { card } = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    await guest.start(['gc-irq', '--count', '1000000000'], { timeoutMs: 60_000 });
    await expect(card).toInterrupt(4);
  });

  shared('is unknown to the next test, and so is that program', async ({ guest }) => {
    expect(await guest.run(['ls', '/sys/bus/pci/drivers/vfio-pci'])).not.toPrint('0000:');
    expect(await guest.run(['pidof', 'gc-irq'])).not.toSucceed();
  });

  shared('stays plugged in when its driver refuses it, and can be bound to another', async ({ guest }) => {
    await expect(guest.plug(ReferenceCard, { driver: 'no-such' })).rejects.toThrow(
      /Cannot bind the card '.*' \(.*\) to no-such: /,
    );
    const [card] = guest.cards;
    expect(() => card?.node).toThrow("The card 'reference-card' is plugged in, but not ready for use");
    await card?.bind('uio_pci_generic');
    expect(card?.describe()).toMatch(/^reference-card \(ReferenceCard, at \S+, uio_pci_generic\)$/);
    await expect(guest.plug(ReferenceCard, { driver: 'no-such' })).rejects.toThrow(
      /Cannot bind the card '.*' \(.*\) to no-such: /,
    );
  });

  shared('is unplugged after such a test too', ({ guest }) => {
    expect(guest.rig.cards).toEqual([]);
  });

  shared('cannot be unplugged while a program keeps it, which is reported', async ({ guest }) => {
    const plugged = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    await guest.start(['gc-irq', '--count', '1000000000'], { timeoutMs: 60_000 });
    await expect(plugged.card).toInterrupt(4);
    await expect(plugged.unplug({ timeoutMs: 1000 })).rejects.toThrow('vfio-pci has not released');
  });

  shared('is gone in the next test, which has another guest', async ({ guest }) => {
    expect(guest.rig.cards).toEqual([]);
    expect(await guest.run(['pidof', 'gc-irq'])).not.toSucceed();
  });

  shared('receives a function-level reset from the guest', async ({ guest }) => {
    const { card, pciAddress } = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    expect(await guest.run(reg('0x0c=0x55'))).toSucceed();
    expect(await guest.run(['sh', '-c', `echo 1 > /sys/bus/pci/devices/${pciAddress}/reset`])).toSucceed();
    expect(card).toHaveBeenReset('flr');
    expect(card).toHaveRegister('SCRATCH', 0);
  });

  shared('can be restarted while the guest runs, which is noted', async ({ guest }) => {
    const plugged = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    const { card } = plugged;
    await plugged.restart();
    expect(plugged.card).not.toBe(card);
    expect(plugged.traces).toHaveLength(2);
    expect(guest.notes.join('\n')).toContain('is being restarted; the guest loses it and gets a new one');
    expect(await guest.run(reg('0x00'))).toPrint('0x47484331');
  });
});

describe('a guest for each test', () => {
  isolated('is a new one', async ({ guest }) => {
    expect(await guest.run(['sh', '-c', 'echo mine > /tmp/left-behind'])).toSucceed();
  });

  isolated('has nothing of the test before', async ({ guest }) => {
    expect(await guest.run(['cat', '/tmp/left-behind'])).toPrint('No such file', { stream: 'stderr' });
  });

  isolated('ends together with its running programs and its cards', async ({ guest }) => {
    const { card } = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    await guest.start(['gc-irq', '--count', '1000000000'], { timeoutMs: 60_000 });
    await expect(card).toInterrupt(4);
  });

  hosted('runs the programs of the host, in the folder of this process', async ({ guest }) => {
    const result = await guest.run(['/bin/sh', '-c', 'pwd; test -e package.json']);
    expect(result).toSucceed();
    expect(result).toPrint(process.cwd());
  });

  hosted('reports the folder in which a program was not found, and the line that started it', async ({ guest }) => {
    const here = `in ${process.cwd()}, the working directory`;
    await expect(guest.run(['./no-such-program'])).rejects.toThrow(here);
    await expect(guest.run(['./no-such-program'], { cwd: '/usr' })).rejects.toThrow('in /usr, the working');
    await expect(guest.run(['./no-such-program'], { host: false })).rejects.toThrow('in /, the working');
    const error = await guest.run(['no-such-program']).catch((caught: Error) => caught);
    expect(error).toMatchObject({ stack: expect.stringMatching(/\n {4}at .*\/harness\.test\.ts:\d+:\d+/) });
    expect(error).not.toMatchObject({ message: expect.stringContaining('the working directory') });
  });
});
