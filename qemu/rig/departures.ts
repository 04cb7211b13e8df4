/**
 * Tells the checks of a card when its driver has gone. A card sees accesses, not processes: so when the last command has
 * ended, and the card may still be at work for it, the guest is asked whether any process has a device open. Nothing is
 * asked after a driver that leaves its card as it should.
 */
import { checksOf } from '../../instrumentation/checks';
import { traceOf } from '../../instrumentation/trace';
import { type PciCard } from '../../emulator/pci';
import { type Guest } from '../launch';

/** Drivers of the kernel that leave the card to a process; what drives it under others stays when a command ends. */
const FOR_USER_SPACE: readonly string[] = ['', 'none', 'uio_pci_generic', 'vfio-pci'];
const ANSWER_TIMEOUT_MS = 5000;
/** How long a card that is still at work may take to show it. */
const DMA_TIMEOUT_MS = 100;

/** Prints the driver of the device $1 and, if a process has a device of UIO or VFIO or a BAR open, "held". */
const WHO = `
basename "$(readlink /sys/bus/pci/devices/$1/driver)"
{ cat /proc/[0-9]*/maps; ls -l /proc/[0-9]*/fd; } 2>/dev/null | grep -qE '/dev/(uio|vfio)|/resource[0-5]' && echo held
true`;

export class Departures {
  #running = 0;
  #asking = Promise.resolve();

  constructor(
    private readonly guest: () => Guest,
    private readonly cards: () => readonly { readonly name: string; readonly card: PciCard }[],
  ) {}

  commandStarted(): void {
    this.#running++;
  }

  commandEnded(command: string): void {
    if (--this.#running > 0) return;
    for (const { name, card } of this.cards()) {
      if (!checksOf(card).isUnsettled) continue;
      this.#asking = this.#asking.then(() => this.#ask(name, card, `the command ${command} has ended`)).catch(() => {});
    }
  }

  /** Resolves when all that commands have left behind is known, within a few seconds. */
  settled(): Promise<void> {
    return this.#asking;
  }

  async #ask(name: string, card: PciCard, what: string): Promise<void> {
    const guest = this.guest();
    const argv = ['sh', '-c', WHO, 'sh', await guest.pciAddressOf(name)];
    const { stdout } = await guest.run(argv, { host: false, marked: false, timeoutMs: ANSWER_TIMEOUT_MS });
    const [driver = '', held] = String(stdout).split('\n');
    const checks = checksOf(card);
    if (held || this.#running > 0 || !FOR_USER_SPACE.includes(driver) || !checks.isUnsettled) return;
    checks.driverLeft(what);
    if (traceOf(card).states.get('bus master') === 'on') await nextDma(card);
  }
}

/** Resolves with the next DMA of a card that is still at work; one that is not does nothing within the time. */
function nextDma({ inspection: { events } }: PciCard): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      stop();
      clearTimeout(timer);
      resolve();
    };
    const stop = events.subscribe(({ kind }) => {
      if (kind === 'dma-read' || kind === 'dma-write') end();
    });
    const timer = setTimeout(end, DMA_TIMEOUT_MS);
  });
}
