/** For tests: parts of traces that are written by hand. */
import { type MapSpec, type RegisterMap } from '../../emulator/registers';
import { type CardDescription } from '../../instrumentation/trace';

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
