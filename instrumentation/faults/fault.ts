/** One declared fault at work on a card: where it puts itself in the card's way, and how often it has fired. */
import { type CardClock, type ScheduledTask } from '../../emulator/clock';
import { type DmaStage } from '../../emulator/memory';
import { type InterruptStage, type PciCard } from '../../emulator/pci';
import { type Device, ForwardingDevice } from '../../emulator/device';
import { type FaultDeclaration } from './parameters';
import { type SlotLink } from './slot-link';
import { type Matcher } from './matcher';

/** Where a fault acts. */
export interface FaultSite {
  readonly card: PciCard;
  readonly clock: CardClock;
  readonly link: SlotLink;
  /** Is told of each firing. */
  readonly report: (what: string) => void;
}

export abstract class Fault<D extends FaultDeclaration = FaultDeclaration> {
  /** How often it has fired. */
  times = 0;
  /** What it waits for. */
  abstract readonly waitsFor: Pick<Matcher, 'describe'>;
  readonly #scheduled = new Map<ScheduledTask, (() => void) | undefined>();

  constructor(
    protected readonly site: FaultSite,
    readonly declaration: D,
  ) {}

  /** Stages that it puts between the card and what is below, or between the driver and the device. */
  dma?(below: DmaStage): DmaStage;
  interrupts?(below: InterruptStage): InterruptStage;
  device?(below: Device): Device;

  /** The card is being reset: what the fault holds back is lost. */
  reset(): void {
    const dropped = [...this.#scheduled];
    this.#scheduled.clear();
    for (const [task, onDropped] of dropped) {
      task.cancel();
      onDropped?.();
    }
  }

  protected fire(what: string): void {
    this.times++;
    this.site.report(what);
  }

  /** In device time; unless the card is reset before, when `onDropped` is called. */
  protected later(delayNs: number, act: () => void, onDropped?: () => void): ScheduledTask {
    const task = this.site.clock.after(delayNs, () => {
      this.#scheduled.delete(task);
      act();
    });
    this.#scheduled.set(task, onDropped);
    return { cancel: () => void (this.#scheduled.delete(task), task.cancel()) };
  }
}

/** A stage between the driver's accesses and the card: what a fault at these accesses is made of. */
export class DeviceStage extends ForwardingDevice {
  /** `calls`: what it does in place of forwarding. */
  constructor(below: Device, calls: Partial<Pick<Device, 'readRegion' | 'writeRegion' | 'reset'>>) {
    super(below, true);
    Object.assign(this, calls);
  }
}
