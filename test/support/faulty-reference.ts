/** A reference card with faults on the in-process host, for tests. */
import { ChannelDriver } from './reference-driver';
import { REFERENCE_REGISTERS, ReferenceCard, type ReferenceCardOptions } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { describeTrace, traceOf } from '../../instrumentation/trace';
import { applyFaults, type FaultDeclaration } from '../../instrumentation/faults';

export function faultyReference(faults: readonly FaultDeclaration[], options: ReferenceCardOptions = {}) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ ...options, clock });
  const faulty = applyFaults(card, faults);
  const host = new InProcessHost(card);
  const registers = host.registers(0, REFERENCE_REGISTERS);
  return {
    ...{ clock, card, faulty, host, registers },
    /** MSI-X, with all sources enabled. */
    useInterrupts(kind: 'intx' | 'msi' | 'msix' = 'msix') {
      host.useInterrupts(kind, kind === 'intx' ? 1 : 8);
      registers.write('IRQ_ENABLE', 0x1f);
    },
    /** Makes the card interrupt, by the source of this number. */
    trigger: (source: number) => registers.write('IRQ_TRIGGER', 1 << source),
    channel: (direction: 'H2C' | 'C2H', channel = 0) => new ChannelDriver(host, direction, channel),
    /** How often each fault has fired. */
    get fired() {
      return faulty.counts.map(({ times }) => times);
    },
    lines: () => describeTrace(traceOf(card), { withoutConfig: true }),
    [Symbol.dispose]: () => card.close(),
  };
}
