/** A card with two functions that are ends of one wire: what one sends, the other receives. */
import { type CardEnvironment, MultifunctionCard, PciCard, registerMap } from 'ghostcard';

export const PORT = registerMap({
  NUMBER: { offset: 0x00, access: 'ro', doc: 'The number of the function.' },
  SCRATCH: { offset: 0x04, access: 'rw' },
  SEND: { offset: 0x08, access: 'wo', doc: 'Sends a word to the other function, which raises an interrupt.' },
  RECEIVED: { offset: 0x0c, access: 'ro', doc: 'The last word from the other function.' },
  RING: { offset: 0x10, access: 'wo', doc: 'Raises an interrupt of this function after a microsecond.' },
});

/** What the functions share. */
class Wire {
  readonly ends: Port[] = [];
}

export class Port extends PciCard {
  readonly registers = this.registerBar(0, PORT);
  readonly number: number;

  constructor(wire: Wire, environment: CardEnvironment = {}) {
    const number = wire.ends.length;
    super(
      {
        ...{ vendorId: 0x1234, deviceId: 0x4780 + number, classCode: 0x12_00_00 },
        ...{ msi: { vectors: 1 } },
      },
      environment,
    );
    this.number = number;
    wire.ends.push(this);
    this.onReset();
    this.registers.onWrite('SEND', ({ value }) => wire.ends[1 - number]!.receive(value));
    this.registers.onWrite('RING', () => void this.clock.after(1000, () => this.interrupts.signal(0)));
  }

  receive(word: number): void {
    this.registers.set('RECEIVED', word);
    this.interrupts.signal(0);
  }

  protected override onReset(): void {
    this.registers.set('NUMBER', this.number);
  }
}

export class TwoPorts extends MultifunctionCard {
  readonly wire = new Wire();
  readonly functions = [0, 1].map(() => (environment: CardEnvironment) => new Port(this.wire, environment));
}

export default TwoPorts;
