import { expect, it, vi } from 'vitest';
import { IntxRelease } from '../../emulator/pci';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { LineCard } from '../../test/support/line-card';
import { StaleIntx } from './stale-intx';

/** A client that releases the line at the `after`th read, as QEMU does once it has seen the assertion. */
function lineWith({ after }: { after: number }) {
  const card = new LineCard({ clock: new ManualClock() });
  const release = new IntxRelease(card);
  const host = new InProcessHost(card);
  host.useInterrupts('intx');
  // The host drives the card past the stage, which has to see where the BAR is.
  release.writeRegion(7, 4, Uint8Array.of(2, 0));
  let reads = 0;
  const stuck: string[] = [];
  const readByte = vi.fn(async () => {
    if (++reads === after) host.interrupts.unmaskIntx();
  });
  new StaleIntx(release, readByte, (message) => stuck.push(message));
  return { card, host, release, readByte, stuck };
}

it('a line that falls by itself is released by one read (PCIe 6.1.2)', async () => {
  const { card, release, readByte, stuck } = lineWith({ after: 1 });
  card.drive(true);
  card.drive(false);
  await vi.waitFor(() => expect(release.isNeeded).toBe(false));
  expect([readByte.mock.calls.length, stuck]).toEqual([1, []]);
});

it('a line that the client has not seen rise is read again, a bounded number of times', async () => {
  const { card, release, readByte } = lineWith({ after: 3 });
  card.drive(true);
  card.drive(false);
  await vi.waitFor(() => expect(release.isNeeded).toBe(false));
  expect(readByte).toHaveBeenCalledTimes(3);
});

it('a client that never releases the line is reported', async () => {
  const { card, readByte, stuck } = lineWith({ after: Infinity });
  card.drive(true);
  card.drive(false);
  await vi.waitFor(() =>
    expect(stuck).toEqual([expect.stringContaining('QEMU keeps the line asserted after 20 reads')]),
  );
  expect(readByte).toHaveBeenCalledTimes(20);
});

it('a line that the client releases by itself at once needs no read', async () => {
  const { card, host, readByte } = lineWith({ after: 1 });
  card.drive(true);
  card.drive(false);
  host.interrupts.unmaskIntx();
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(readByte).not.toHaveBeenCalled();
});

it('a line that is asserted again meanwhile is asserted in the end', async () => {
  const { card, host, release } = lineWith({ after: 1 });
  card.drive(true);
  card.drive(false);
  card.drive(true);
  host.interrupts.unmaskIntx();
  expect([host.interrupts.count(), release.isNeeded]).toEqual([2, false]);
});
