/** The card: an identity and two LEDs. */
import { type CardEnvironment, PciCard, registerMap } from 'ghostcard';

const REGISTERS = registerMap({
  ID: { offset: 0x00, access: 'ro', reset: 0x4b4e_4c42, doc: 'Reads "BLNK".' },
  LEDS: { offset: 0x04, access: 'rw', fields: { RED: [0], GREEN: [1] }, doc: 'A LED is lit while its bit is 1.' },
});

export default class BlinkCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);

  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4742, classCode: 0x12_00_00 }, environment);
  }
}
