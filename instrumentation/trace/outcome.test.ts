import { expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { ChannelDriver } from '../../test/support/reference-driver';
import { CardOutcome, traceOf } from '.';

it('CardOutcome says what a card halted on, which DMA was refused, what still runs, and what nobody has taken', () => {
  const outcome = new CardOutcome();
  const state = (part: string, state: string) => outcome.take({ kind: 'state', part, state });
  const interrupt = (phase: 'raised' | 'sent' | 'lowered', vector: number) =>
    outcome.take({ kind: 'interrupt', phase, index: 2, vector });
  for (const index of [1, 4, 7]) {
    state('H2C0', 'running');
    state('H2C0', `halted: NOT_OWNED, descriptor ${index}`);
  }
  state('bus master', 'running');
  state('H2C1', 'running');
  const dma = { kind: 'dma-read', channel: 'C2H0', role: 'data', iova: 0x1000, sizeBytes: 4 } as const;
  outcome.take(dma);
  outcome.take({ ...dma, error: 'unmapped' });
  outcome.take({ ...dma, iova: 0x2000, error: 'unmapped' });
  interrupt('raised', 0);
  interrupt('sent', 0);
  interrupt('raised', 3);
  expect(outcome.findings.map(({ text }) => text)).toEqual([
    'H2C0 halted 3 times: NOT_OWNED, descriptors 1, 4, 7',
    'DMA of C2H0 was refused twice: unmapped, first at 0x1000',
    'H2C1 is still running',
    'MSI-X vector 3 was raised and never taken, once',
  ]);
  outcome.take({ kind: 'reset', reset: 'flr' });
  expect(outcome.findings.map(({ kind }) => kind)).toEqual(['halted', 'dma-refused', 'interrupt-not-taken']);
});

const STATUS = registerMap(
  {
    STATUS: { offset: 0, access: 'w1c', fields: { DONE: [0], OVERRUN: { bits: [1], role: 'error' } } },
    STATUS_RO: { offset: 4, aliasOf: 'STATUS', access: 'ro' },
    FAILED: { offset: 8, width: 64, access: 'ro', role: 'error' },
    MASK: { offset: 16, access: 'rw', fields: { OVERRUN: { bits: [1], role: 'error' } } },
  },
  { sizeBytes: 4096 },
);
class StatusCard extends PciCard {
  readonly registers = this.registerBar(0, STATUS);
  constructor(environment: CardEnvironment) {
    super({ vendorId: 0x1234, deviceId: 0x4761, classCode: 0x12_00_00 }, environment);
  }
}

it('the trace of a card says which errors were never read, also when a reset has cleared them', () => {
  const card = new StatusCard({ clock: new ManualClock() });
  const host = new InProcessHost(card);
  const found = () => traceOf(card).findings.map(({ text }) => text);
  card.registers.set('STATUS', 1);
  expect(found()).toEqual([]);
  card.registers.set('STATUS', 3);
  card.registers.set('FAILED', 5n);
  host.bar(0).read32(0);
  expect(found()).toEqual(['FAILED has reported an error that was never read']);
  host.reset('flr');
  expect(traceOf(card).findings).toMatchObject([{ kind: 'error-unread', part: 'FAILED', times: 1 }]);
});

it('an error is read through an alias too, and a mask that the driver sets is none', () => {
  const card = new StatusCard({ clock: new ManualClock() });
  const bar = new InProcessHost(card).bar(0);
  bar.write32(16, 2);
  card.registers.set('STATUS', 2);
  expect(traceOf(card).findings).toMatchObject([{ kind: 'error-unread', part: 'STATUS.OVERRUN', times: 1 }]);
  bar.read32(4);
  expect(traceOf(card).findings).toEqual([]);
});

it('the reference card reports that a channel has halted, and that nobody has read its error', () => {
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock });
  const driver = new ChannelDriver(new InProcessHost(card), 'H2C');
  driver.submit({ hostAddress: 0x1000, lengthBytes: 0 });
  clock.advance(1_000_000);
  const found = () => traceOf(card).findings.map(({ text }) => text);
  const halted = 'H2C0 halted once: BAD_LENGTH, descriptor 0';
  expect(found()).toEqual([halted, 'H2C[0].STATUS.ERROR has reported an error that was never read']);
  driver.registers.read('H2C[0].STATUS');
  expect(found()).toEqual([halted]);
});
