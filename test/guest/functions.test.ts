/** A card with several functions in a guest: one slot, and for each function its own driver, interrupts and reset. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { type CardEnvironment, MultifunctionCard } from '../../emulator/pci';
import { traceOf, TraceRecorder } from '../../instrumentation/trace';
import { GUEST_ARCHES } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { runApp, startRig } from '../support/rig';

class TwoReferences extends MultifunctionCard {
  readonly functions = [0, 1].map(() => (environment: CardEnvironment) => new ReferenceCard(environment));
}

const two = (driver?: readonly string[]) => ({
  name: 'card',
  makeMultifunction: () => new TwoReferences(),
  ...(driver && { driver }),
});
const DRIVERS = ['uio_pci_generic', 'vfio-pci'];
const FUNCTIONS = ['card.0', 'card.1'];

describe.each(GUEST_ARCHES)('in a guest of %s, a card with two functions', (arch) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ arch, hugepages: 64, cards: [] });
  });
  afterAll(() => rig?.close());

  const shell = async (script: string) => {
    const { exitCode, stdout, stderr } = await rig.guest.run(['sh', '-c', script]);
    expect(exitCode, String(stderr)).toBe(0);
    return String(stdout).trim();
  };
  const addresses = () => Promise.all(FUNCTIONS.map((name) => rig.guest.pciAddressOf(name)));
  const resetsOf = (name: string, kind: string) =>
    [...traceOf(rig.card(name)).newestFirst()].filter((event) => event.kind === 'reset' && event.reset === kind).length;

  it('is plugged into one slot, each function under its own driver', async () => {
    const recorder = new TraceRecorder(join(rig.runDir, 'functions.trace'));
    rig.recordTo(recorder);
    const { node, pciAddress } = await rig.plug(two(DRIVERS));
    expect(node).toBe('/dev/uio0');
    expect(rig.cards).toEqual(FUNCTIONS);
    const [first, second] = await addresses();
    expect([first, second]).toEqual([pciAddress, pciAddress.replace(/\.0$/, '.1')]);
    const drivers = await shell(
      `for f in ${first} ${second}; do basename $(readlink /sys/bus/pci/devices/$f/driver); done; ls /dev/vfio/noiommu-0`,
    );
    expect(drivers).toBe('uio_pci_generic\nvfio-pci\n/dev/vfio/noiommu-0');
    await Promise.all([
      runApp(rig, 'card.0', ['gc-irq', '--irq', 'intx', '--count', '20']),
      runApp(rig, 'card.1', ['gc-irq', '--irq', 'msix', '--count', '20']),
    ]);
    await Promise.all(FUNCTIONS.map((name) => runApp(rig, name, ['gc-loopback', '--max-size', '65536'])));
    rig.recordTo(undefined);
    recorder.close();
    expect(recorder.cards.map(({ name }) => name)).toEqual(FUNCTIONS);
  });

  it('a function-level reset of one leaves the registers of the other alone', async () => {
    const [first, second] = await addresses();
    const scratch = (address: string, value = '') => shell(`gc-reg --device ${address} SCRATCH${value}`);
    await scratch(first!, '=0x11');
    await scratch(second!, '=0x22');
    await rig.bind('card.1', 'none');
    const before = FUNCTIONS.map((name) => resetsOf(name, 'flr'));
    expect(await shell(`cat /sys/bus/pci/devices/${second}/reset_method`)).toMatch(/^flr/);
    await shell(`echo flr >/sys/bus/pci/devices/${second}/reset_method; echo 1 >/sys/bus/pci/devices/${second}/reset`);
    expect(FUNCTIONS.map((name) => resetsOf(name, 'flr'))).toEqual([before[0], before[1]! + 1]);
    expect(rig.card<ReferenceCard>('card.0').registers.get('SCRATCH')).toBe(0x11);
    expect(rig.card<ReferenceCard>('card.1').registers.get('SCRATCH')).toBe(0);
  });

  it('is unplugged with all its functions, and takes its slot and addresses again', async () => {
    const before = await addresses();
    await rig.unplug('card');
    expect(await shell(`ls /sys/bus/pci/devices | grep -c -F -e ${before.join(' -e ')} || true`)).toBe('0');
    expect(rig.cards).toEqual([]);
    await rig.plug(two(DRIVERS));
    expect(await addresses()).toEqual(before);
    await runApp(rig, 'card.1', ['gc-irq', '--count', '5']);
    await rig.surpriseRemove('card');
    expect(rig.cards).toEqual([]);
  });
});

describe.each(GUEST_ARCHES)('in a guest of %s that boots with it, a card with two functions', (arch) => {
  it('is found with both', async () => {
    await using rig = await startRig({ arch, hugepages: 64, start: 'cold', cards: [{ ...two(), driver: 'vfio-pci' }] });
    expect(rig.functionsOf('card')).toEqual(FUNCTIONS);
    const [first, second] = await Promise.all(FUNCTIONS.map((name) => rig.guest.pciAddressOf(name)));
    expect(second).toBe(first!.replace(/0$/, '1'));
    for (const name of FUNCTIONS) await runApp(rig, name, ['gc-irq', '--irq', 'msix', '--count', '5']);
  });
});
