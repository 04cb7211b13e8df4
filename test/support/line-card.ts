/** A card whose INTx line the test drives: nothing that a driver does changes it. */
import { type CardEnvironment, PciCard, platformDevice } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';

const REGISTERS = registerMap({ SCRATCH: { offset: 0, access: 'rw' } });

export class LineCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);

  constructor(environment: CardEnvironment = {}) {
    super(
      {
        ...{ vendorId: 0x1234, deviceId: 0x4771, classCode: 0x12_00_00, intx: 'A' },
        platformDevices: [
          platformDevice({
            name: 'line',
            compatible: 'ghostcard,test-line',
            windows: { registers: { bar: 0, sizeBytes: 0x1000 } },
            interrupt: 'intx',
            reset: { window: 'registers', offset: 0, value: 0, limitMs: 1 },
          }),
        ],
      },
      environment,
    );
  }

  drive(asserted: boolean): void {
    this.interrupts.setIntx(asserted);
  }

  /** Asserts the line now and deasserts it `forNs` later. */
  pulse(forNs: number): void {
    this.drive(true);
    this.clock.after(forNs, () => this.drive(false));
  }
}
