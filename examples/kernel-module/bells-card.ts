/** Four bells. Writing a number to RING rings that bell: its MSI-X vector is signalled. */
import { type CardEnvironment, PciCard, registerMap } from 'ghostcard';

/** BAR 0; bells.c has the same. */
export const BELLS = registerMap({
  ID: { offset: 0x00, access: 'ro', doc: 'Always "BELL", in ASCII.' },
  RING: { offset: 0x04, access: 'wo', doc: 'Number of the bell to ring.' },
});

export default class BellsCard extends PciCard {
  readonly registers = this.registerBar(0, BELLS);

  constructor(environment: CardEnvironment = {}, id = 'BELL') {
    super({ vendorId: 0x1234, deviceId: 0x4761, classCode: 0x08_80_00, msix: { bar: 2, vectors: 4 } }, environment);
    this.registers.onRead('ID', () => Buffer.from(id).readUInt32LE());
    this.registers.onWrite('RING', ({ data }) => this.ring(data));
  }

  protected ring(bell: number): void {
    this.interrupts.signal(bell);
  }
}
