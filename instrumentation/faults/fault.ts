/** An injected fault that has been applied to a card: its stages, how often it has fired, and what it delays. */
import { type CardClock, type ScheduledTask } from '../../emulator/clock';
import { type Device, ForwardingDevice } from '../../emulator/device';
import { type DmaStage } from '../../emulator/memory';
import { type InterruptStage, type PciCard } from '../../emulator/pci';
import { type ResetKind } from '../../emulator/registers';
import { type SlotLink } from './slot-link';

/** Where a fault acts. */
export interface FaultSite {
  readonly card: PciCard;
  readonly clock: CardClock;
  readonly link: SlotLink;
  /** Is notified of each firing. */
  readonly report: (what: string) => void;
}

export abstract class Fault {
  /** How often it has fired. */
  times = 0;
  /** Which events it waits for, and how many have come. */
  abstract readonly waitsFor: { describe(): string };
  readonly #scheduled = new Map<ScheduledTask, (() => void) | undefined>();

  constructor(protected readonly site: FaultSite) {}

  /** The stages that it inserts: between the card and host memory, its interrupts, or its client. */
  dma?(below: DmaStage): DmaStage;
  interrupts?(below: InterruptStage): InterruptStage;
  device?(below: Device): Device;

  /** The card is being reset: what the fault holds back is lost. */
  reset(_kind: ResetKind): void {
    const lost = [...this.#scheduled];
    this.#scheduled.clear();
    for (const [task, onLost] of lost) {
      task.cancel();
      onLost?.();
    }
  }

  fire(what: string): void {
    this.times++;
    this.site.report(what);
  }

  /** Acts after so much device time. If the card is reset before, `onLost` is called instead. */
  later(delayNs: number, act: () => void, onLost?: () => void): ScheduledTask {
    const task = this.site.clock.after(delayNs, () => {
      this.#scheduled.delete(task);
      act();
    });
    this.#scheduled.set(task, onLost);
    return { cancel: () => void (this.#scheduled.delete(task), task.cancel()) };
  }
}

/** What a stage at the driver's accesses does in place of forwarding them. */
export type AccessCalls = Partial<Pick<Device, 'readRegion' | 'writeRegion' | 'reset'>>;

/** A stage between the driver's accesses and the card. It hides BAR mappings: it is to see every access. */
export const accessStage = (below: Device, calls: AccessCalls): Device =>
  Object.assign(new ForwardingDevice(below, true), calls);
