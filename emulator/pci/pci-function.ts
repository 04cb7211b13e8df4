/**
 * A function of a PCI Express endpoint without its BARs: configuration space, power state, interrupts and resets, and
 * what these permit the card to do (decode memory accesses, master the bus).
 *
 * Source: PCI Local Bus Spec 3.0, 6.2; PCI Express Base Spec 5.0, 5.3.1 (power states) and 6.6 (resets).
 */
import { type CardClock } from '../clock';
import { RegisterFile, type ResetKind } from '../registers';
import { AuthorConfig } from './author-config';
import { type CardBars } from './card-bars';
import { type CardEvents } from './card-events';
import { deviceSerialNumber } from './capabilities/device-serial-number';
import { encodePlace } from './capabilities/msix';
import { PCI_EXPRESS_BYTES, pciExpress } from './capabilities/pci-express';
import { platformTableCapability } from './capabilities/platform-table';
import { powerManagement } from './capabilities/power-management';
import { CAPABILITY_OFFSETS } from './config-placement';
import { ConfigSpace } from './config-space';
import { ErrorReporting } from './error-reporting';
import { type CardIdentity, DEFAULT_LINK, type LibraryCapability } from './identity';
import { FunctionInterrupts } from './interrupt-controller';
import { Intx } from './intx';
import { type HeldReason } from './irq-index';
import { type MessageWiring } from './message-vectors';
import { Msi } from './msi';
import { Msix } from './msix';
import { type PlatformTable } from './platform/table';
import { Readiness } from './readiness';
import { type0Header } from './type0-header';
import { BAR_COUNT, Irq } from './vfio-layout';

/** PMCSR, bits 1:0. */
const D0 = 0;
const D3_HOT = 3;
/** Header Type, bit 7. */
const MULTIFUNCTION = 1 << 7;
/** Status register, bit 3. */
const INTERRUPT_STATUS = 1 << 3;
/** Device Control register, bit 15. */
const INITIATE_FLR = 1 << 15;

export class PciFunction {
  readonly config: ConfigSpace;
  /** What the card's author has added to it. */
  readonly author: AuthorConfig;
  readonly interrupts: FunctionInterrupts;
  /** Absent in a card without the capability for it. */
  readonly errors: ErrorReporting | undefined;
  readonly msix: Msix | undefined;
  /** Memory Space Enable, in D0: the memory BARs answer. */
  decodesMemory = false;
  /** I/O Space Enable, in D0: the I/O BARs answer. */
  decodesIo = false;
  /** Bus Master Enable, in D0: DMA and messages may be sent. */
  mastersBus = false;
  /** The card has others. */
  isMultifunction = false;
  readonly #header;
  readonly #power;
  readonly #express;
  readonly #msi: Msi | undefined;
  readonly #intx: Intx;
  readonly #readiness: Readiness;
  readonly #published = new Map<string, string>();
  /** The driver has used it since it was made or lost its power. */
  #inUse = false;

  /** `onReset` is called when the driver requests a reset; it must call `reset` with the kind that it gets. */
  constructor(
    identity: CardIdentity,
    private readonly bars: CardBars,
    private readonly events: CardEvents,
    clock: Pick<CardClock, 'after'>,
    onReset: (kind: 'flr' | 'd3hot') => void,
    platform?: PlatformTable,
  ) {
    const wiring: MessageWiring = {
      mayWriteMemory: () => this.mastersBus,
      send: (vector) => this.interrupts.send(vector),
      modeChanged: () => {
        this.#publishState('interrupts', this.interrupts.mode);
        this.interrupts.update();
      },
      held: (index, vector, reason) => this.#held(index, vector, reason),
    };
    this.#header = new RegisterFile(type0Header(identity));
    this.#power = new RegisterFile(powerManagement(identity.noSoftReset ?? true));
    this.#express = new RegisterFile(pciExpress(identity.link ?? DEFAULT_LINK, identity.functionLevelReset ?? true));
    if (identity.advancedErrorReporting ?? true) {
      this.errors = new ErrorReporting(this.#header, this.#express, () => this.#isInD0);
    }
    this.#msi = identity.msi && new Msi(identity.msi.vectors, wiring);
    this.msix = identity.msix && new Msix(identity.msix, wiring);
    this.#intx = new Intx(
      identity.intx !== undefined,
      () => (this.#intxEnabled() ? undefined : 'disabled'),
      (reason) => {
        if (this.interrupts.mode === 'intx') this.#held(Irq.INTX, 0, reason);
      },
    );
    this.interrupts = new FunctionInterrupts({ intx: this.#intx, msi: this.#msi, msix: this.msix });

    this.config = new ConfigSpace(this.#header, identity.capabilityOrder);
    this.author = new AuthorConfig(this.config, this.errors !== undefined);
    this.#addCapabilities(identity, platform);
    this.#readiness = new Readiness(clock, identity.readyAfterNs ?? {}, (state) =>
      this.#publishState('function', state),
    );
    this.#wireRegisters(onReset);
  }

  /** False for a while after a reset, if the identity says so: the function cannot be accessed. */
  get isReady(): boolean {
    return this.#readiness.isReady;
  }

  /** Restores the power-up state, except for what survives resets of this kind. DMA mappings and sinks are not changed. */
  reset(kind: ResetKind): void {
    this.#intx.status = false;
    this.#intx.setLevel(false);
    this.#msi?.reset();
    this.msix?.reset();
    for (const registers of [this.#header, this.author, this.#power, this.#express]) registers.reset(kind);
    this.errors?.capability.reset(kind);
    if (this.#published.has('interrupts')) this.#publishState('interrupts', this.interrupts.mode);
    this.#updateGates();
    // QEMU resets a card that it has just started: the time after power-on is over by then.
    if (this.#inUse) this.#readiness.begin(kind);
    if (kind === 'power') this.#inUse = false;
  }

  /** Those that the library has. The author's come later. */
  #addCapabilities({ capabilityOffsets = {}, serialNumber }: CardIdentity, platform?: PlatformTable): void {
    const usual = CAPABILITY_OFFSETS;
    const add = (
      name: LibraryCapability,
      preferred: number | undefined,
      registers: RegisterFile,
      sizeBytes?: number,
    ) => {
      const kind = name === 'SERIAL' || name === 'AER' ? 'extended' : 'standard';
      const offset = capabilityOffsets[name];
      const place = preferred === undefined ? { isLast: true } : { preferred };
      this.config.addCapability({ name, kind, offset, ...place, registers, ...(sizeBytes && { sizeBytes }) });
    };
    add('PM', usual.powerManagement, this.#power);
    add('PCIE', usual.pciExpress, this.#express, PCI_EXPRESS_BYTES);
    if (this.#msi) add('MSI', usual.msi, this.#msi.registers);
    if (this.msix) add('MSIX', usual.msix, this.msix.registers);
    if (platform) {
      const capability = new RegisterFile(platformTableCapability(platform.sizeBytes));
      capability.onRead('LOCATION', () => encodePlace(platform.place));
      add('PLATFORM', usual.platformTable, capability);
    }
    if (serialNumber !== undefined)
      add('SERIAL', usual.serialNumber, new RegisterFile(deviceSerialNumber(serialNumber)));
    // Where the author's capabilities leave room, so that they lie where they would without it.
    if (this.errors) add('AER', undefined, this.errors.capability);
  }

  #wireRegisters(onReset: (kind: 'flr' | 'd3hot') => void): void {
    for (let slot = 0; slot < BAR_COUNT; slot++) {
      this.#header.block('BAR', slot).onRead('ADDRESS', (stored) => this.bars.registers.present(slot, stored));
    }
    this.#header.onRead('EXPANSION_ROM', (stored) => this.bars.rom?.present(stored) ?? 0);
    this.#header.onWrite('COMMAND', () => {
      if (!this.bars.registers.hasIo) this.#header.set('COMMAND.IO_SPACE', 0);
      this.#updateGates();
    });
    this.#header.onRead('HEADER_TYPE', (stored) => (this.isMultifunction ? stored | MULTIFUNCTION : stored));
    this.#header.onRead('STATUS', (stored) => (this.#intx.status ? stored | INTERRUPT_STATUS : stored));
    this.#power.onWrite('CONTROL_STATUS', ({ value, previous }) => {
      const state = value & 3;
      // A state that the function does not support: the write completes and the state is unchanged (5.3.1.4, 7.5.2.2).
      if (state !== D0 && state !== D3_HOT) this.#power.set('CONTROL_STATUS.POWER_STATE', previous & 3);
      if (state === D0 && (previous & 3) === D3_HOT && this.#power.get('CONTROL_STATUS.NO_SOFT_RESET') === 0) {
        onReset('d3hot'); // 5.3.1.4.1: the functional context is lost
      } else this.#updateGates();
    });
    this.#express.onWrite('DEVICE_CONTROL', ({ data }) => {
      if ((data & INITIATE_FLR) !== 0 && this.#express.get('DEVICE_CAPABILITIES.FUNCTION_LEVEL_RESET') === 1) {
        onReset('flr');
      }
    });
  }

  get #isInD0(): boolean {
    return this.#power.get('CONTROL_STATUS.POWER_STATE') === D0;
  }

  #updateGates(): void {
    const inD0 = this.#isInD0;
    this.decodesMemory = inD0 && this.#header.get('COMMAND.MEMORY_SPACE') === 1;
    this.decodesIo = inD0 && this.#header.get('COMMAND.IO_SPACE') === 1;
    this.mastersBus = inD0 && this.#header.get('COMMAND.BUS_MASTER') === 1;
    this.#inUse ||= this.decodesMemory || this.decodesIo;
    this.#publishState('memory decode', this.decodesMemory ? 'on' : 'off');
    if (this.bars.registers.hasIo) this.#publishState('I/O decode', this.decodesIo ? 'on' : 'off');
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
    return this.interrupts.mode === 'intx' && this.#header.get('COMMAND.INTERRUPT_DISABLE') === 0 && this.#isInD0;
  }
}
