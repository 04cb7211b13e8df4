/** MSI-X vectors that a driver masks: what a guest sees of them, and what QEMU hides of it (docs/limits.md). */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type CardEnvironment, Irq, PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { installProgram, startRig } from '../support/rig';

const REGISTERS = registerMap({ ID: { offset: 0, access: 'ro' }, RING: { offset: 4, access: 'wo' } });
const VECTOR = 2;

class VectorCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);
  /** What has become of the interrupts of the vector that the driver masks. */
  readonly phases: string[] = [];

  constructor(environment: CardEnvironment) {
    const msix = { bar: 2, vectors: 4, pbaOffset: 0x1000 };
    super({ vendorId: 0x1234, deviceId: 0x4772, classCode: 0x12_00_00, msix }, environment);
    this.registers.onWrite('RING', ({ data }) => this.interrupts.signal(data));
    this.inspection.events.subscribe((event) => {
      if (event.kind !== 'interrupt' || event.index !== Irq.MSIX || event.vector !== VECTOR) return;
      this.phases.push(event.reason === undefined ? event.phase : `${event.phase}: ${event.reason}`);
    });
  }
}

it('a masked vector interrupts once at its unmask; its pending bit is 1 with the function mask only (PCI 6.8.2.3)', async () => {
  await using rig = await startRig({ cards: [{ name: 'card', make: (environment) => new VectorCard(environment) }] });
  const { pciAddress, node } = await rig.bind('card', 'vfio-pci');
  const program = await installProgram(rig, join(__dirname, 'masked-vectors.c'));
  const env = { GHOSTCARD_PCI_ADDRESS: pciAddress, GHOSTCARD_DEVICE: node };
  const { exitCode, stdout, stderr } = await rig.guest.run([program], { env });
  expect(exitCode, `${String(stdout)}${String(stderr)}`).toBe(0);
  expect(String(stdout).split('\n')).toEqual([
    'unmasked: 1',
    'pending behind the function mask: 0x4',
    'after the function mask: 1',
    'masked in the table: 0',
    'pending behind the table: 0',
    'after the table: 1',
    '',
  ]);
  const sent = ['raised', 'sent'];
  const held = ['raised', 'held: masked'];
  expect(rig.card<VectorCard>('card').phases).toEqual([...sent, ...held, ...held, 'sent', ...sent, ...sent, ...sent]);
});
