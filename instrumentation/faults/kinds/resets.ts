/** Faults at resets of the card. */
import { type Device } from '../../../emulator/device';
import { Region } from '../../../emulator/pci';
import { type ResetKind } from '../../../emulator/registers';
import { wordDuration } from '../../trace';
import { accessStage, Fault, type FaultSite } from '../fault';
import { kind } from '../kind';
import { ResetMatcher } from '../matcher';
import { required, RESET, type ResetMatch, whole } from '../parameters';

export const RESET_KINDS = {
  'reset-slow': kind({
    match: RESET,
    parameters: { forNs: required(whole(1), 'for how long') },
    doc: 'The card cannot be accessed for that time after the reset: reads of configuration space and of BARs return all ones, and writes are discarded, as with [`readyAfterNs`](writing-a-card.md#resets). Resets of a card that its driver has not used since it was plugged in do not count: QEMU makes several.',
    make: (site, given) => new SlowReset(site, given, given.forNs),
  }),
};

/** Command, and its bits by which a driver begins to use a card: I/O and Memory Space Enable. */
const COMMAND = 0x04;
const DECODES = 0b11;

class SlowReset extends Fault {
  readonly waitsFor: ResetMatcher;
  #readyAtNs = 0;
  #isInUse = false;

  constructor(
    site: FaultSite,
    match: ResetMatch,
    private readonly forNs: number,
  ) {
    super(site);
    this.waitsFor = new ResetMatcher(site.card, match);
  }

  override reset(kind: ResetKind): void {
    super.reset(kind);
    if (this.#isInUse && this.waitsFor.takes(kind)) {
      this.#readyAtNs = this.site.clock.now() + this.forNs;
      this.fire(`the card cannot be accessed for ${wordDuration(this.forNs)}`);
    }
    if (kind === 'power') this.#isInUse = false;
  }

  override device(below: Device): Device {
    return accessStage(below, {
      readRegion: (region, offset, data) => {
        if (this.#isReady) below.readRegion(region, offset, data);
        else data.fill(0xff);
      },
      writeRegion: (region, offset, data) => {
        if (!this.#isReady) return;
        this.#isInUse ||= region === Region.CONFIG && offset === COMMAND && (data[0]! & DECODES) !== 0;
        below.writeRegion(region, offset, data);
      },
    });
  }

  get #isReady(): boolean {
    return this.site.clock.now() >= this.#readyAtNs;
  }
}
