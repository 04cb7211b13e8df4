/**
 * A single-function PCI Express endpoint without its BARs: configuration space, power state, interrupts and resets, and
 * what these permit the card to do (decode memory accesses, master the bus).
 *
 * Source: PCI Local Bus Spec 3.0, 6.2; PCI Express Base Spec 5.0, 5.3.1 (power states) and 6.6 (resets).
 */
import { RegisterFile } from '../registers';
import { type Bars } from './bars';
import { type CardEvents } from './card-events';
import { deviceSerialNumber } from './capabilities/device-serial-number';
import { encodePlace } from './capabilities/msix';
import { pciExpress } from './capabilities/pci-express';
import { platformTableCapability } from './capabilities/platform-table';
import { powerManagement } from './capabilities/power-management';
import { CAPABILITY_OFFSETS, chain, ConfigSpace, type ConfigStructure, EXTENDED_OFFSET } from './config-space';
import { type CardIdentity, DEFAULT_LINK } from './identity';
import { FunctionInterrupts } from './interrupt-controller';
import { Intx } from './intx';
import { type HeldReason } from './irq-index';
import { type MessageWiring } from './message-vectors';
import { Msi } from './msi';
import { Msix } from './msix';
import { type PlatformTable } from './platform/table';
import { type0Header } from './type0-header';
import { BAR_COUNT, Irq } from './vfio-layout';

/** 'flr': the driver wrote Initiate Function Level Reset. 'device': the client reset the device. */
export type ResetKind = 'flr' | 'device';

/** PMCSR, bits 1:0. */
const D0 = 0;
const D3_HOT = 3;
/** Status register, bit 3. */
const INTERRUPT_STATUS = 1 << 3;
/** Device Control register, bit 15. */
const INITIATE_FLR = 1 << 15;

export class PciFunction {
  readonly config: ConfigSpace;
  readonly interrupts: FunctionInterrupts;
  readonly msix: Msix | undefined;
  /** Memory Space Enable, in D0: the BARs answer. */
  decodesMemory = false;
  /** Bus Master Enable, in D0: DMA and messages may be sent. */
  mastersBus = false;
  readonly #header;
  readonly #power;
  readonly #express;
  readonly #msi: Msi | undefined;
  readonly #intx: Intx;
  readonly #published = new Map<string, string>();

  /** `onFlr` is called when the driver requests a function-level reset; it must call `reset('flr')`. */
  constructor(
    identity: CardIdentity,
    bars: Bars,
    private readonly events: CardEvents,
    onFlr: () => void,
    platform?: PlatformTable,
  ) {
    const { powerManagement: pm, msi, msix, pciExpress: pcie, platformTable } = CAPABILITY_OFFSETS;
    const present = [
      ...[pm, ...(identity.msi ? [msi] : []), ...(identity.msix ? [msix] : []), pcie],
      ...(platform ? [platformTable] : []),
    ];
    const after = chain(present);
    const wiring: MessageWiring = {
      mayWriteMemory: () => this.mastersBus,
      send: (vector) => this.interrupts.send(vector),
      modeChanged: () => {
        this.#publishState('interrupts', this.interrupts.mode);
        this.interrupts.update();
      },
      held: (index, vector, reason) => this.#held(index, vector, reason),
    };
    this.#header = new RegisterFile(type0Header(identity, pm));
    this.#power = new RegisterFile(powerManagement(after(pm)));
    this.#express = new RegisterFile(pciExpress(after(pcie), identity.link ?? DEFAULT_LINK));
    this.#msi = identity.msi && new Msi(after(msi), identity.msi.vectors, wiring);
    this.msix = identity.msix && new Msix(after(msix), identity.msix, wiring);
    this.#intx = new Intx(
      identity.intx !== undefined,
      () => (this.#intxEnabled() ? undefined : 'disabled'),
      (reason) => {
        if (this.interrupts.mode === 'intx') this.#held(Irq.INTX, 0, reason);
      },
    );
    this.interrupts = new FunctionInterrupts({ intx: this.#intx, msi: this.#msi, msix: this.msix });

    const structures: ConfigStructure[] = [
      place('', 0, this.#header),
      place('PM', pm, this.#power),
      place('PCIE', pcie, this.#express),
      ...(this.#msi ? [place('MSI', msi, this.#msi.registers)] : []),
      ...(this.msix ? [place('MSIX', msix, this.msix.registers)] : []),
    ];
    if (platform) {
      const capability = new RegisterFile(platformTableCapability(after(platformTable), platform.sizeBytes));
      capability.onRead('LOCATION', () => encodePlace(platform.place));
      structures.push(place('PLATFORM', platformTable, capability));
    }
    if (identity.serialNumber !== undefined) {
      const serialNumber = new RegisterFile(deviceSerialNumber(0, identity.serialNumber));
      structures.push(place('SERIAL', EXTENDED_OFFSET, serialNumber));
    }
    this.config = new ConfigSpace(structures);
    this.#wireRegisters(bars, onFlr);
  }

  /** Restores the power-up state, except for what `kind` preserves. DMA mappings and sinks are not changed. */
  reset(kind: ResetKind): void {
    this.#intx.status = false;
    this.#intx.setLevel(false);
    this.#msi?.reset();
    this.msix?.reset();
    this.#header.reset();
    this.#power.reset();
    this.#resetExpress(kind);
    if (this.#published.has('interrupts')) this.#publishState('interrupts', this.interrupts.mode);
    this.#updateGates();
  }

  #wireRegisters(bars: Bars, onFlr: () => void): void {
    for (let slot = 0; slot < BAR_COUNT; slot++) {
      this.#header.block('BAR', slot).onRead('ADDRESS', (stored) => bars.present(slot, stored));
    }
    this.#header.onWrite('COMMAND', () => this.#updateGates());
    this.#header.onRead('STATUS', (stored) => (this.#intx.status ? stored | INTERRUPT_STATUS : stored));
    this.#power.onWrite('CONTROL_STATUS', ({ value, previous }) => {
      const state = value & 3;
      // A state that the function does not support: the write completes and the state is unchanged (5.3.1.4, 7.5.2.2).
      if (state !== D0 && state !== D3_HOT) this.#power.set('CONTROL_STATUS.POWER_STATE', previous & 3);
      this.#updateGates();
    });
    this.#express.onWrite('DEVICE_CONTROL', ({ data }) => {
      if ((data & INITIATE_FLR) !== 0) onFlr();
    });
  }

  #updateGates(): void {
    const inD0 = this.#power.get('CONTROL_STATUS.POWER_STATE') === D0;
    this.decodesMemory = inD0 && this.#header.get('COMMAND.MEMORY_SPACE') === 1;
    this.mastersBus = inD0 && this.#header.get('COMMAND.BUS_MASTER') === 1;
    this.#publishState('memory decode', this.decodesMemory ? 'on' : 'off');
    this.#publishState('bus master', this.mastersBus ? 'on' : 'off');
    this.#publishState('power', inD0 ? 'D0' : 'D3hot');
    this.interrupts.update();
  }

  /** Publishes the state of a part if it has changed. */
  #publishState(part: string, state: string): void {
    if (this.#published.get(part) === state) return;
    this.#published.set(part, state);
    this.events.publish({ kind: 'state', part, state });
  }

  #held(index: number, vector: number, reason: HeldReason): void {
    this.events.publish({ kind: 'interrupt', phase: 'held', index, vector, reason });
  }

  #intxEnabled(): boolean {
    return (
      this.interrupts.mode === 'intx' &&
      this.#header.get('COMMAND.INTERRUPT_DISABLE') === 0 &&
      this.#power.get('CONTROL_STATUS.POWER_STATE') === D0
    );
  }

  /** A function-level reset preserves the link settings and the negotiated payload size (6.6.2). */
  #resetExpress(kind: ResetKind): void {
    const express = this.#express;
    const maxPayload = express.get('DEVICE_CONTROL.MAX_PAYLOAD');
    const linkControl = express.get('LINK_CONTROL');
    const linkControl2 = express.get('LINK_CONTROL_2');
    express.reset();
    if (kind !== 'flr') return;
    express.set('DEVICE_CONTROL.MAX_PAYLOAD', maxPayload);
    express.set('LINK_CONTROL', linkControl);
    express.set('LINK_CONTROL_2', linkControl2);
  }
}

function place(name: string, offset: number, registers: ConfigStructure['registers'] & { map: { sizeBytes: number } }) {
  return { name, offset, sizeBytes: registers.map.sizeBytes, registers };
}
