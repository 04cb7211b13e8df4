/**
 * The interrupts of the function: what a card raises, by which of the three mechanisms it is sent, and how the client
 * sets them up through VFIO.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.2 (MSI-X and MSI exclude INTx); Linux include/uapi/linux/vfio.h,
 * VFIO_DEVICE_SET_IRQS.
 */
import { DeviceError, type IrqLayout, type SetIrqs } from '../device';
import { type Intx } from './intx';
import { type IrqIndex, Notification } from './irq-index';
import { type MessageVectors } from './message-vectors';
import { EINVAL, Irq } from './vfio-layout';

/** By which mechanism the function interrupts now. */
export type InterruptMode = 'intx' | 'msi' | 'msix' | 'none';

/** What a card author uses. */
export interface InterruptController {
  /** The mechanism that the driver has enabled; 'none' when the card has no pin and no messages are enabled. */
  readonly mode: InterruptMode;
  /** How many messages there are to send: of MSI those that the system has granted, of MSI-X all. Without messages 0. */
  readonly vectors: number;
  /** Sends message `vector`, modulo the vectors enabled; pending while masked. Does nothing in INTx mode. */
  signal(vector: number): void;
  /** Drives the INTx line: a level, to stay asserted until the driver has cleared its cause. May be set in any mode. */
  setIntx(asserted: boolean): void;
  /** Notifies the client that the device has failed (VFIO error interrupt); QEMU stops the guest. */
  reportError(): void;
  /** Asks the client to release the device (VFIO request interrupt); QEMU unplugs it. */
  requestRelease(): void;
}

/** MSI or MSI-X, as the controller uses them. */
export interface MessageMechanism {
  readonly enabled: boolean;
  /** How many vectors can be signalled. */
  readonly granted: number;
  readonly vectors: MessageVectors;
  signal(vector: number): void;
}

export interface InterruptSources {
  readonly intx: Intx;
  readonly msi: MessageMechanism | undefined;
  readonly msix: MessageMechanism | undefined;
}

const names = ['INTx', 'MSI', 'MSI-X', 'error', 'request'];
const absent: IrqIndex = {
  layout: { count: 0, maskable: false, autoMasked: false, noResize: false },
  connect: () => {},
  disconnectAll: () => {},
  trigger: () => {},
};

export class FunctionInterrupts implements InterruptController {
  readonly #sources: InterruptSources;
  readonly #indexes: readonly IrqIndex[];
  readonly #error = new Notification();
  readonly #request = new Notification();
  /** Sends a message that no mask blocks. */
  send: (vector: number) => void = (vector) => this.deliver(vector);

  constructor(sources: InterruptSources) {
    this.#sources = sources;
    const { intx, msi, msix } = sources;
    const indexes: IrqIndex[] = [];
    indexes[Irq.INTX] = intx;
    indexes[Irq.MSI] = msi?.vectors ?? absent;
    indexes[Irq.MSIX] = msix?.vectors ?? absent;
    indexes[Irq.ERROR] = this.#error;
    indexes[Irq.REQUEST] = this.#request;
    this.#indexes = indexes;
  }

  get layout(): readonly IrqLayout[] {
    return this.#indexes.map(({ layout }) => layout);
  }

  get intx(): Intx {
    return this.#sources.intx;
  }

  get mode(): InterruptMode {
    const { intx, msi, msix } = this.#sources;
    if (msix?.enabled) return 'msix';
    if (msi?.enabled) return 'msi';
    return intx.layout.count > 0 ? 'intx' : 'none';
  }

  get vectors(): number {
    const { msi, msix } = this.#sources;
    return (msix?.enabled ? msix.granted : msi?.enabled && msi.granted) || 0;
  }

  signal(vector: number): void {
    if (!Number.isSafeInteger(vector) || vector < 0) {
      throw new RangeError(`signalling vector ${vector}: vectors are integers from 0 up`);
    }
    const { msi, msix } = this.#sources;
    if (msix?.enabled) msix.signal(vector);
    else if (msi?.enabled) msi.signal(vector);
  }

  /** Message `vector` arrives at the client, regardless of the function's masks: it has been sent before. */
  deliver(vector: number): void {
    const { msi, msix } = this.#sources;
    const enabled = msix?.enabled ? msix : msi;
    enabled?.vectors.trigger(vector);
  }

  setIntx(asserted: boolean): void {
    this.#sources.intx.setLevel(asserted);
  }

  reportError(): void {
    this.#error.trigger();
  }

  requestRelease(): void {
    this.#request.trigger();
  }

  /** Sends interrupts that are no longer blocked. To be called when mode, Bus Master Enable or power state changes. */
  update(): void {
    this.#sources.intx.update();
    this.#sources.msi?.vectors.flush();
    this.#sources.msix?.vectors.flush();
  }

  disconnectAll(): void {
    for (const index of this.#indexes) index.disconnectAll();
  }

  /**
   * Handles the client's request for one index. A refused request changes nothing, and the caller still owns its sinks.
   * @throws DeviceError EINVAL
   */
  setIrqs({ index, start, count, action }: SetIrqs): void {
    const irq = this.#indexes[index];
    if (!irq) throw refused(`interrupt index ${index}: valid indexes are 0 to ${names.length - 1}`);
    const asked = `${action.kind} of ${names[index]} vectors ${start} to ${start + count - 1}`;
    if (start < 0 || count < 0 || start + count > irq.layout.count) {
      throw refused(`${asked}: the card has ${irq.layout.count}`);
    }
    if (action.kind === 'sinks') {
      if (action.sinks.length !== count) throw refused(`${asked}: ${action.sinks.length} sinks were given`);
      if (count === 0) irq.disconnectAll();
      else irq.connect(start, action.sinks);
      return;
    }
    if (action.vectors && action.vectors.length !== count) {
      throw refused(`${asked}: ${action.vectors.length} flags were given`);
    }
    if (action.kind !== 'trigger' && !irq.setMasked) {
      throw refused(`${asked}: only the function's own registers mask these vectors`);
    }
    for (let i = 0; i < count; i++) {
      if (action.vectors && !action.vectors[i]) continue;
      if (action.kind === 'trigger') irq.trigger(start + i);
      else irq.setMasked?.(start + i, action.kind === 'mask');
    }
  }
}

const refused = (message: string): DeviceError => new DeviceError(EINVAL, message);
