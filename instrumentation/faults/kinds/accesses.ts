/**
 * Faults at the driver's accesses, on their way to the card or on the way back: a trace shows what the driver wrote, and
 * what it was given to read.
 */
import { type Device } from '../../../emulator/device';
import { BAR_COUNT } from '../../../emulator/pci';
import { wordDuration } from '../../trace';
import { type AccessCalls, accessStage, Fault, type FaultSite } from '../fault';
import { kind } from '../kind';
import { AccessMatcher } from '../matcher';
import {
  ACCESS,
  type AccessMatch,
  COUNTED,
  FaultDeclarationError,
  ns,
  oneOf,
  optional,
  required,
  text,
  whole,
  withDefault,
  yesNo,
} from '../parameters';
import { fieldsNamed, type NamedField, namesOf } from '../registers';

/** A client that waits longer takes the card for dead: QEMU does so after 5 s. */
const MOST_STALLED_NS = 1_000_000_000;

const LASTING = {
  reads: optional(whole(1), 'for how many matching reads'),
  forNs: optional(whole(1), 'for how long'),
};

export const ACCESS_KINDS = {
  'reads-all-ones': kind({
    match: ACCESS,
    parameters: {
      ...LASTING,
      linkDown: withDefault(yesNo, false, 'the whole card is gone for that time'),
    },
    doc: 'Matching reads return all ones, beginning with the one that was selected; by default one read. With `linkDown` all reads do, writes are discarded, and the card is reset when it comes back (Base Specification 6.0, section 2.9.1).',
    make: (site, given) => {
      const { forNs, reads = forNs === undefined ? 1 : undefined, linkDown } = given;
      const spell = new Spell(site, { reads, forNs });
      return new AccessFault(site, given, 'reads', (below, fault) => ({
        readRegion: (region, offset, data) => {
          if (!spell.isOn && fault.waitsFor.takes(region, offset, data.length)) {
            spell.begin();
            fault.fire(`${linkDown ? 'the link is down' : 'reads return all ones'} ${spell.howLong}`);
            if (linkDown) below.reset('link-down');
          }
          if (!spell.isOn || !(linkDown || fault.waitsFor.fits(region, offset, data.length))) {
            return below.readRegion(region, offset, data);
          }
          spell.read();
          data.fill(0xff);
        },
        writeRegion: (region, offset, data) => {
          if (!linkDown || !spell.isOn) below.writeRegion(region, offset, data);
        },
      }));
    },
  }),

  'write-lost': kind({
    match: ACCESS,
    doc: 'The write does not reach the card.',
    make: (site, given) =>
      new AccessFault(site, given, 'writes', (below, fault) => ({
        writeRegion: (region, offset, data) => {
          if (fault.waitsFor.takes(region, offset, data.length)) fault.fire('the write does not reach the card');
          else below.writeRegion(region, offset, data);
        },
      })),
  }),

  'device-slow': kind({
    match: ACCESS,
    parameters: {
      on: optional(oneOf('read', 'write'), '`read` or `write`; both by default'),
      delayNs: required(whole(0, MOST_STALLED_NS), 'how much later, at most 1 s'),
    },
    doc: 'The answer comes later: the client waits, and nothing else is served. Device time stands still while a card answers, so its own delays begin afterwards.',
    make: (site, given) => {
      const { on, delayNs } = given;
      return new AccessFault(site, given, on === undefined ? 'accesses' : `${on}s`, (below, fault) => {
        const stall = (region: number, offset: number, data: Uint8Array): void => {
          if (!fault.waitsFor.takes(region, offset, data.length)) return;
          fault.fire(`the access takes ${wordDuration(delayNs)}`);
          site.clock.stall(delayNs);
        };
        const slow = (call: 'readRegion' | 'writeRegion'): AccessCalls => ({
          [call]: (region: number, offset: number, data: Uint8Array) => {
            stall(region, offset, data);
            below[call](region, offset, data);
          },
        });
        return { ...(on !== 'write' && slow('readRegion')), ...(on !== 'read' && slow('writeRegion')) };
      });
    },
  }),

  'field-stuck': kind({
    match: COUNTED,
    parameters: {
      field: required(text, 'which, such as `H2C[0].STATUS.BUSY`'),
      value: required(ns, 'what the driver reads in it'),
      ...LASTING,
    },
    doc: 'The field reads as this value, by default for ever. The state of the card is not changed. The fault has fired when the driver has read a value that differs from that of the card.',
    make: (site, given) => {
      const { field, value } = given;
      const fields = fieldsNamed(namesOf(site.card), field);
      checkFits(fields, field, value);
      const spell = new Spell(site, given);
      /** The driver has read something else than what was there, in this spell: before that, nothing has happened. */
      let isFelt = false;
      const register = field.slice(0, field.lastIndexOf('.'));
      return new AccessFault(site, { ...given, register }, 'reads', (below, fault) => ({
        readRegion: (region, offset, data) => {
          below.readRegion(region, offset, data);
          if (!site.link.isUp) return;
          if (!spell.isOn && fault.waitsFor.takes(region, offset, data.length)) {
            spell.begin();
            isFelt = false;
          }
          if (!spell.isOn || !fault.waitsFor.fits(region, offset, data.length)) return;
          spell.read();
          const was = Buffer.from(data);
          for (const named of fields) if (named.register.region === region) overlay(named, value, offset, data);
          if (isFelt || was.equals(data)) return;
          isFelt = true;
          fault.fire(`${field} reads ${value} ${spell.howLong}`);
        },
      }));
    },
  }),

  'writes-posted': kind({
    match: ACCESS,
    parameters: { holdNs: withDefault(ns, 1_000_000, 'how long at most') },
    doc: 'The write waits, and so do all later ones, until the next read of anything, the next write to configuration space, or for `holdNs`.',
    make: (site, given) => {
      const { holdNs } = given;
      let held: (() => void)[] = [];
      let release: { cancel(): void } | undefined;
      return new AccessFault(site, given, 'writes', (below, fault) => {
        const forget = (): (() => void)[] => {
          const writes = held;
          held = [];
          release = undefined;
          return writes;
        };
        const flush = (): void => {
          release?.cancel();
          for (const write of forget()) write();
        };
        return {
          readRegion: (region, offset, data) => {
            flush();
            below.readRegion(region, offset, data);
          },
          writeRegion: (region, offset, data) => {
            const isTaken = fault.waitsFor.takes(region, offset, data.length);
            // A write to configuration space is not posted, and pushes others on as a read does.
            if (region >= BAR_COUNT) flush();
            else if (isTaken || held.length > 0) {
              const bytes = data.slice();
              held.push(() => below.writeRegion(region, offset, bytes));
              release ??= fault.later(holdNs, flush, forget);
              if (isTaken) fault.fire(`the write waits for the next read, or ${wordDuration(holdNs)}`);
              return;
            }
            below.writeRegion(region, offset, data);
          },
          reset: (cause) => {
            flush();
            below.reset(cause);
          },
        };
      });
    },
  }),
};

class AccessFault extends Fault {
  readonly waitsFor: AccessMatcher;

  /** `calls`: what its stage does in place of forwarding to `below`. */
  constructor(
    site: FaultSite,
    match: AccessMatch,
    access: 'reads' | 'writes' | 'accesses',
    private readonly calls: (below: Device, fault: AccessFault) => AccessCalls,
  ) {
    super(site);
    this.waitsFor = new AccessMatcher(site.card, match, access);
  }

  override device(below: Device): Device {
    return accessStage(below, this.calls(below, this));
  }
}

interface Lasting {
  readonly reads?: number | undefined;
  readonly forNs?: number | undefined;
}

/** Something that goes on for so many reads, or for so long. */
class Spell {
  #readsLeft = 0;
  #untilNs = 0;

  constructor(
    private readonly site: FaultSite,
    private readonly lasts: Lasting,
  ) {}

  begin(): void {
    this.#readsLeft = this.lasts.reads ?? Infinity;
    this.#untilNs = this.site.clock.now() + (this.lasts.forNs ?? Infinity);
  }

  get isOn(): boolean {
    return this.#readsLeft > 0 && this.site.clock.now() < this.#untilNs;
  }

  read(): void {
    this.#readsLeft--;
  }

  /** `for 2 reads or for 1 ms` */
  get howLong(): string {
    const { reads, forNs } = this.lasts;
    const limits = [reads && `for ${reads} reads`, forNs && `for ${wordDuration(forNs)}`];
    return limits.filter(Boolean).join(' or ') || 'from now on';
  }
}

function checkFits(fields: readonly NamedField[], name: string, value: number): void {
  const narrow = fields.find(({ field }) => value >= 2 ** field.width);
  if (narrow === undefined) return;
  const { width } = narrow.field;
  const bits = `${width} ${width === 1 ? 'bit' : 'bits'}`;
  throw new FaultDeclarationError(`value is ${value}; the field ${name} has ${bits}`);
}

/** Puts the bits of a field into what has been read at `offset`, as far as they lie in it. */
function overlay({ register, field }: NamedField, value: number, offset: number, data: Uint8Array): void {
  for (let bit = 0; bit < field.width; bit++) {
    const at = (register.offset - offset) * 8 + field.lsb + bit;
    if (at < 0 || at >= data.length * 8) continue;
    const mask = 1 << (at & 7);
    const isSet = Math.floor(value / 2 ** bit) % 2 === 1;
    data[at >>> 3] = isSet ? data[at >>> 3]! | mask : data[at >>> 3]! & ~mask;
  }
}
