/** A card for tests of bus errors in guests. Faults are declared for its registers ERROR[n].TRIGGER, one for each error. */
import { type CardEnvironment, type CardIdentity, PciCard } from '../../emulator/pci';
import { registerMap, type ResetKind } from '../../emulator/registers';
import { type FaultDeclaration } from '../../instrumentation/faults';

/** What test/guest/error-driver knows as well. */
const ERROR_REGISTERS = registerMap({
  SCRATCH: { offset: 0x0, access: 'rw' },
  ERROR: { offset: 0x10, stride: 4, count: 8, registers: { TRIGGER: { offset: 0, access: 'rw' } } },
});

/** An error n is detected when the driver writes to ERROR[n].TRIGGER. */
export const ERRORS = [
  'completion-timeout',
  'poisoned-tlp',
  'unsupported-request',
  'malformed-tlp',
  'bad-tlp',
  'receiver-error',
] as const;

export const errorFaults = ERRORS.map((error, index): FaultDeclaration => ({
  fault: 'bus-error',
  name: error,
  error,
  on: 'write',
  register: `ERROR[${index}].TRIGGER`,
  occurrence: 'all',
  mayNotFire: true,
}));

export class ErrorCard extends PciCard {
  readonly registers = this.registerBar(0, ERROR_REGISTERS);
  readonly resets: ResetKind[] = [];

  constructor(environment: CardEnvironment, identity: Partial<CardIdentity> = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4772, classCode: 0x12_00_00, ...identity }, environment);
  }

  /** Uncorrectable status, correctable status, and Device Status. */
  get logged(): readonly number[] {
    const errors = this.inspection.errors!.capability;
    const express = this.inspection.configStructures.find(({ name }) => name === 'PCIE')!.registers;
    const deviceStatus = new Uint8Array(2);
    express.read(0x0a, deviceStatus);
    return [errors.get('UNCORRECTABLE_STATUS'), errors.get('CORRECTABLE_STATUS'), deviceStatus[0]!];
  }

  protected override onReset(kind: ResetKind): void {
    this.resets.push(kind);
  }
}
