/**
 * A card that is not coherent under the drivers of guest-tools: they work as with any other, and what a driver forgets to
 * synchronise shows every time. docs/coherence.md is about this.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { type Rig } from '../../qemu/rig';
import { reference, runApp, startRig } from '../support/rig';

const ROUNDS = 20;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    cards: [
      { name: 'coherent', make: reference() },
      { name: 'not-coherent', make: reference({ coherent: false }) },
    ],
  });
});
afterAll(() => rig?.close());

describe.each(['uio_pci_generic', 'vfio-pci'])('a card that is not coherent, bound to %s', (driver) => {
  const counts = () => ({ ...rig.card<ReferenceCard>('not-coherent').coherence!.counts });

  it.each([
    ['gc-identify'],
    ['gc-memtest', '--words', '16'],
    ['gc-irq'],
    ['gc-loopback'],
    ['gc-crc'],
    ['gc-errors'],
    ['gc-reset'],
  ])('%s passes, without any byte stale or never synchronised', async (...argv) => {
    await rig.bind('not-coherent', driver);
    const before = counts();
    await runApp(rig, 'not-coherent', argv);
    const { neverSynchronised, stale } = counts();
    expect({ neverSynchronised, stale }).toEqual({
      neverSynchronised: before.neverSynchronised,
      stale: before.stale,
    });
  });

  it('gives old bytes to a driver that forgets to synchronise, every time', async () => {
    await rig.bind('not-coherent', driver);
    const report = await runApp(rig, 'not-coherent', ['gc-coherence', '--rounds', String(ROUNDS)]);
    const stale = expect.any(Number);
    expect(report).toMatchObject({ coherent: 'no', never_synchronised: ROUNDS * 4096, stale });
    expect(report).not.toMatchObject({ stale: 0 });
  });
});

it('a coherent card gives nothing old to a driver that forgets to synchronise', async () => {
  await rig.bind('coherent', 'uio_pci_generic');
  const report = await runApp(rig, 'coherent', ['gc-coherence', '--rounds', String(ROUNDS)]);
  expect(report).toMatchObject({ coherent: 'yes', never_synchronised: 0, stale: 0 });
});
