/** For tests: parts of traces that are written by hand. */
import { type MapSpec, type RegisterMap } from '../../emulator/registers';
import { type PciCard } from '../../emulator/pci';
import { type CardDescription, type TraceEvent, traceOf } from '../../instrumentation/trace';

/** The stamps of an event of card 1. */
export const at = (timeNs: number, card = 1) => ({ card, timeNs, hostNs: timeNs });

export function describing(name: string, map: RegisterMap<MapSpec>): CardDescription {
  return {
    name,
    model: 'TestCard',
    vendorId: 0x1234,
    deviceId: 0xab,
    regions: [],
    windows: [],
    vectors: [1, 1, 8],
    registers: [{ name: '', region: 0, offset: 0, registers: map.registers }],
    memory: [],
    faults: [],
  };
}

/** Records a card into an array, with all payloads; to be called before it is driven. */
export function recordInMemory(card: PciCard, name = 'dut'): TraceEvent[] {
  const events: TraceEvent[] = [];
  traceOf(card).record(
    {
      ...{ payloads: 'full', largestPayloadBytes: Infinity, disablesMmap: false, nextCard: () => 1 },
      record: (event) => {
        const copied = 'data' in event && event.data ? { ...event, data: event.data.slice() } : event;
        events.push({ ...copied, hostNs: copied.timeNs } as TraceEvent);
      },
    },
    { name },
  );
  return events;
}
