/** What befalls an access of the driver on its way to the card, or its answer on the way back. */
import { type Device } from '../../../emulator/device';
import { BAR_COUNT } from '../../../emulator/pci';
import { RegisterNames, wordDuration } from '../../trace';
import { type DeviceSlow, type FieldStuck, type ReadsAllOnes, type WriteLost, type WritesPosted } from '../parameters';
import { FaultDeclarationError } from '../error';
import { DeviceStage, Fault, type FaultSite } from '../fault';
import { AccessMatcher } from '../matcher';
import { fieldsNamed, type NamedField } from '../registers';

const DEFAULT_HOLD_NS = 1_000_000;

/** Something that goes on for so many reads, or for so long. */
class Spell {
  #readsLeft = 0;
  #untilNs = 0;

  constructor(
    private readonly now: () => number,
    private readonly lasts: { readonly reads?: number; readonly forNs?: number },
  ) {}

  begin(): void {
    this.#readsLeft = this.lasts.reads ?? Infinity;
    this.#untilNs = this.now() + (this.lasts.forNs ?? Infinity);
  }

  get isOn(): boolean {
    return this.#readsLeft > 0 && this.now() < this.#untilNs;
  }

  read(): void {
    this.#readsLeft--;
  }
}

const lastsInWords = ({ reads, forNs }: { readonly reads?: number; readonly forNs?: number }): string =>
  [reads === undefined ? [] : `for ${reads} reads`, forNs === undefined ? [] : `for ${wordDuration(forNs)}`]
    .flat()
    .join(' or ') || 'from now on';

export class AllOnes extends Fault<ReadsAllOnes> {
  readonly waitsFor: AccessMatcher;
  readonly #spell: Spell;
  readonly #howLong: string;

  constructor(site: FaultSite, declaration: ReadsAllOnes) {
    super(site, declaration);
    const { forNs, reads = forNs === undefined ? 1 : undefined } = declaration;
    const lasts = { ...(forNs !== undefined && { forNs }), ...(reads !== undefined && { reads }) };
    this.waitsFor = new AccessMatcher(site.card, declaration, 'reads');
    this.#spell = new Spell(() => site.clock.now(), lasts);
    this.#howLong = lastsInWords(lasts);
  }

  override device(below: Device): Device {
    const spell = this.#spell;
    const { linkDown = false } = this.declaration;
    return new DeviceStage(below, {
      readRegion: (region, offset, data) => {
        if (!spell.isOn && this.waitsFor.takes(region, offset, data.length)) {
          spell.begin();
          this.fire(linkDown ? `the link is down ${this.#howLong}` : `reads give all ones ${this.#howLong}`);
          if (linkDown) below.reset();
        }
        if (!spell.isOn || !(linkDown || this.waitsFor.fits(region, offset, data.length))) {
          return below.readRegion(region, offset, data);
        }
        spell.read();
        data.fill(0xff);
      },
      writeRegion: (region, offset, data) => {
        if (!linkDown || !spell.isOn) below.writeRegion(region, offset, data);
      },
    });
  }
}

export class LostWrite extends Fault<WriteLost> {
  readonly waitsFor: AccessMatcher;

  constructor(site: FaultSite, declaration: WriteLost) {
    super(site, declaration);
    this.waitsFor = new AccessMatcher(site.card, declaration, 'writes');
  }

  override device(below: Device): Device {
    return new DeviceStage(below, {
      writeRegion: (region, offset, data) => {
        if (this.waitsFor.takes(region, offset, data.length)) this.fire('the write does not reach the card');
        else below.writeRegion(region, offset, data);
      },
    });
  }
}

/** Keeps the thread waiting, not the card: device time stands still while a card answers, however long that takes. */
export class SlowDevice extends Fault<DeviceSlow> {
  readonly waitsFor: AccessMatcher;

  constructor(site: FaultSite, declaration: DeviceSlow) {
    super(site, declaration);
    const { on } = declaration;
    this.waitsFor = new AccessMatcher(site.card, declaration, on === undefined ? 'accesses' : `${on}s`);
  }

  override device(below: Device): Device {
    const { on } = this.declaration;
    return new DeviceStage(below, {
      ...(on !== 'write' && {
        readRegion: (region, offset, data) => {
          this.#stall(region, offset, data.length);
          below.readRegion(region, offset, data);
        },
      }),
      ...(on !== 'read' && {
        writeRegion: (region, offset, data) => {
          this.#stall(region, offset, data.length);
          below.writeRegion(region, offset, data);
        },
      }),
    });
  }

  #stall(region: number, offset: number, sizeBytes: number): void {
    if (!this.waitsFor.takes(region, offset, sizeBytes)) return;
    const { delayNs } = this.declaration;
    this.fire(`the access takes ${wordDuration(delayNs)}`);
    this.site.clock.stall(delayNs);
  }
}

/** The driver reads the field wrong; the card's own state is what it is. */
export class StuckField extends Fault<FieldStuck> {
  readonly waitsFor: AccessMatcher;
  readonly #fields: readonly NamedField[];
  readonly #spell: Spell;
  /** The driver has read something else than what was there, in this spell: before that, nothing has happened. */
  #isFelt = false;

  constructor(site: FaultSite, declaration: FieldStuck) {
    super(site, declaration);
    const { field } = declaration;
    this.#fields = fieldsNamed(RegisterNames.of(site.card), field);
    const narrow = this.#fields.find((named) => declaration.value >= 2 ** named.field.width);
    if (narrow) {
      const { width } = narrow.field;
      const bits = `${width} ${width === 1 ? 'bit' : 'bits'}`;
      throw new FaultDeclarationError(`value is ${declaration.value}; the field ${field} has ${bits}`);
    }
    const register = field.slice(0, field.lastIndexOf('.'));
    this.waitsFor = new AccessMatcher(site.card, { ...declaration, register }, 'reads');
    this.#spell = new Spell(() => site.clock.now(), declaration);
  }

  override device(below: Device): Device {
    const spell = this.#spell;
    const { field, value } = this.declaration;
    return new DeviceStage(below, {
      readRegion: (region, offset, data) => {
        below.readRegion(region, offset, data);
        if (!this.site.link.isUp) return;
        if (!spell.isOn && this.waitsFor.takes(region, offset, data.length)) {
          spell.begin();
          this.#isFelt = false;
        }
        if (!spell.isOn || !this.waitsFor.fits(region, offset, data.length)) return;
        spell.read();
        const was = Buffer.from(data);
        for (const named of this.#fields) if (named.register.region === region) overlay(named, value, offset, data);
        if (this.#isFelt || was.equals(data)) return;
        this.#isFelt = true;
        this.fire(`${field} reads ${value} ${lastsInWords(this.declaration)}`);
      },
    });
  }
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

interface PostedWrite {
  readonly region: number;
  readonly offset: number;
  readonly data: Uint8Array;
}

/** Writes on their way, in order, until a read pushes them on. */
export class PostedWrites extends Fault<WritesPosted> {
  readonly waitsFor: AccessMatcher;
  #held: PostedWrite[] = [];
  #flushAfter: { cancel(): void } | undefined;

  constructor(site: FaultSite, declaration: WritesPosted) {
    super(site, declaration);
    this.waitsFor = new AccessMatcher(site.card, declaration, 'writes');
  }

  override device(below: Device): Device {
    const { holdNs = DEFAULT_HOLD_NS } = this.declaration;
    const flush = () => {
      this.#flushAfter?.cancel();
      this.#flushAfter = undefined;
      for (const { region, offset, data } of this.#held.splice(0)) below.writeRegion(region, offset, data);
    };
    return new DeviceStage(below, {
      readRegion: (region, offset, data) => {
        flush();
        below.readRegion(region, offset, data);
      },
      writeRegion: (region, offset, data) => {
        const isTaken = this.waitsFor.takes(region, offset, data.length);
        // A write to configuration space is not posted, and pushes others on as a read does.
        if (region >= BAR_COUNT) flush();
        else if (isTaken || this.#held.length > 0) {
          this.#held.push({ region, offset, data: data.slice() });
          this.#flushAfter ??= this.later(holdNs, flush);
          if (isTaken) this.fire(`the write waits for the next read, or ${wordDuration(holdNs)}`);
          return;
        }
        below.writeRegion(region, offset, data);
      },
      reset: () => {
        flush();
        below.reset();
      },
    });
  }

  override reset(): void {
    super.reset();
    this.#held = [];
    this.#flushAfter = undefined;
  }
}
