/** A card for tests of resets in guests: what it declares about them is an option, and it keeps what happens. */
import { type CardEnvironment, type CardIdentity, PciCard } from '../../emulator/pci';
import { registerMap, type ResetKind } from '../../emulator/registers';

const RESET_REGISTERS = registerMap({
  PLAIN: { offset: 0x0, access: 'rw' },
  USER_LOGIC: { offset: 0x4, access: 'rw', survives: ['flr'] },
  STICKY: { offset: 0x8, access: 'rw', survives: 'sticky' },
});

export class ResetCard extends PciCard {
  readonly registers = this.registerBar(0, RESET_REGISTERS);
  readonly resets: ResetKind[] = [];

  constructor(identity: Partial<CardIdentity>, environment: CardEnvironment) {
    super({ vendorId: 0x1234, deviceId: 0x4749, classCode: 0x12_00_00, intx: 'A', ...identity }, environment);
  }

  /** Sets all registers to `value`, and forgets earlier resets. */
  change(value: number): void {
    for (const name of ['PLAIN', 'USER_LOGIC', 'STICKY'] as const) this.registers.set(name, value);
    this.resets.length = 0;
  }

  get values(): number[] {
    return (['PLAIN', 'USER_LOGIC', 'STICKY'] as const).map((name) => this.registers.get(name));
  }

  protected override onReset(kind: ResetKind): void {
    this.resets.push(kind);
  }
}
