/**
 * What a card declares of its DMA channels, so that tools need not guess: which registers are doorbells, and how what lies
 * in host memory is laid out. The card's model is none the wiser; traces carry it in the description of the card.
 */
import { type DmaRole } from '../memory';
import { type BlockSpec, type RegisterFile, type RegisterLayout, sizeOf } from '../registers';
import { byOffset } from '../registers/layout';
import { NamePattern, type Spelt, unknownName } from '../registers/name-pattern';
import { CardDefinitionError } from './identity';
import { regionName } from './vfio-layout';

/** What a card declares of one of its DMA channels, for tools. */
export interface DmaChannelDeclaration {
  /** Registers whose write starts the channel's work: their names, or more about them. */
  readonly doorbells?: readonly (string | DoorbellDeclaration)[];
  /** How what the channel reads and writes in one of these roles is laid out. */
  readonly layouts?: { readonly [Role in DmaRole]?: DmaLayoutDeclaration };
}

/** A register whose write tells a channel to go on. */
export interface DoorbellDeclaration {
  /**
   * `H2C[0].DOORBELL`, or a field: `H2C[0].CONTROL.RUN`; `BAR2:CONTROL.RUN` where several BARs have that name; with `*` for
   * any characters, all that it stands for.
   */
  readonly register: string;
  /**
   * Which writes start work: each ('written', the default for a register), one that changes the value ('changed': a tail
   * pointer), or, of a field, one that sets it to this value while it has another (default for a field: 1).
   */
  readonly rings?: 'written' | 'changed' | number;
}

/** Structures in host memory, little-endian: descriptors, write-back blocks. */
export interface DmaLayoutDeclaration {
  readonly fields: BlockSpec;
  /**
   * From one to the next where several lie side by side, in bytes. Default: their size. If it is a power of two, each is
   * taken to begin at a multiple of it, so that accesses of parts are decoded too; otherwise only those of whole ones are.
   */
  readonly strideBytes?: number;
  /** A descriptor by which the driver requests an interrupt has this field other than 0: `CONTROL.INTERRUPT`. */
  readonly requestsInterrupt?: string;
}

/** A channel with its declarations looked up: plain data, as in a trace. */
export interface DmaChannelDescription {
  readonly name: string;
  readonly doorbells: readonly DoorbellDescription[];
  readonly layouts: readonly DmaLayout[];
}

/** A doorbell of a channel, looked up. */
export interface DoorbellDescription {
  /** Without the BAR: `H2C[0].CONTROL.RUN`. */
  readonly path: string;
  readonly region: number;
  /** Of the register, in bytes. */
  readonly offset: number;
  /** Width of the register. */
  readonly width: number;
  readonly msb: number;
  readonly lsb: number;
  readonly rings: 'written' | 'changed' | number;
}

/** How what a channel reads and writes in one role is laid out. */
export interface DmaLayout {
  readonly role: DmaRole;
  readonly strideBytes: number;
  readonly words: readonly WordLayout[];
  readonly requestsInterrupt?: string;
}

/** A word of a structure in host memory. */
export type WordLayout = Pick<RegisterLayout, 'name' | 'offset' | 'width' | 'doc' | 'fields'>;

export class DmaChannels {
  readonly #declared = new Map<string, DmaChannelDeclaration>();

  declare(name: string, declaration: DmaChannelDeclaration): void {
    if (this.#declared.has(name)) {
      throw new CardDefinitionError(`DMA channel '${name}' is declared twice: give each channel a name of its own`);
    }
    this.#declared.set(name, declaration);
  }

  /** To be called when the card has all its BARs. Throws CardDefinitionError for a register that there is not. */
  describe(files: ReadonlyMap<number, RegisterFile>): DmaChannelDescription[] {
    const places = placesOf(files);
    return [...this.#declared].map(([name, { doorbells = [], layouts = {} }]) => ({
      name,
      doorbells: doorbells.flatMap((doorbell) => doorbellsNamed(`DMA channel '${name}'`, doorbell, places)),
      layouts: Object.entries(layouts).map(([role, layout]) => describeLayout(`DMA channel '${name}'`, role, layout)),
    }));
  }
}

/** A register of a card. */
interface Place extends Spelt {
  readonly region: number;
}

function placesOf(files: ReadonlyMap<number, RegisterFile>): Place[] {
  const all = [...files].flatMap(([region, { map }]) => map.registers.map((layout) => ({ region, layout })));
  return all.map(({ region, layout }) => {
    const { path } = layout;
    const whole = `${regionName(region)}:${path}`;
    const isShared = all.some((other) => other.region !== region && other.layout.path === path);
    return { region, layout, name: isShared ? whole : path, spellings: [path, whole] };
  });
}

/** All registers and fields that a name stands for; one without `*` must stand for one. */
function doorbellsNamed(who: string, declared: string | DoorbellDeclaration, places: Place[]): DoorbellDescription[] {
  const { register: wanted, rings }: DoorbellDeclaration =
    typeof declared === 'string' ? { register: declared } : declared;
  const pattern = new NamePattern(wanted);
  const found = places.flatMap((place) => {
    const { name, layout, region } = place;
    const { path, offset, width } = layout;
    const at = { region, offset, width };
    const fields = pattern.fieldsIn(place).map((field) => ({
      shown: `${name}.${field.name}`,
      bell: { path: `${path}.${field.name}`, ...at, msb: field.msb, lsb: field.lsb, rings: rings ?? 1 },
    }));
    if (!pattern.isRegister(place)) return fields;
    return [{ shown: name, bell: { path, ...at, msb: width - 1, lsb: 0, rings: rings ?? 'written' } }, ...fields];
  });
  if (found.length === 0) {
    const why = unknownName('the card', 'register or field', wanted, places);
    throw new CardDefinitionError(`${who}, doorbell: ${why}`);
  }
  if (found.length > 1 && !wanted.includes('*')) {
    const names = found.map(({ shown }) => shown).join(' or ');
    throw new CardDefinitionError(`${who}: the doorbell '${wanted}' may be ${names}: name the one that is meant`);
  }
  return found.map(({ bell }) => bell);
}

function describeLayout(who: string, role: string, layout: DmaLayoutDeclaration): DmaLayout {
  const { fields, strideBytes = sizeOf(fields), requestsInterrupt } = layout;
  const words = byOffset(fields).map(({ name, offset, width, doc, fields }) => ({ name, offset, width, doc, fields }));
  if (strideBytes < sizeOf(fields)) {
    throw new CardDefinitionError(
      `${who}: strideBytes of the layout of its ${role} is ${strideBytes}, and one takes ${sizeOf(fields)} bytes`,
    );
  }
  const names = words.flatMap((word) => word.fields.map((field) => `${word.name}.${field.name}`));
  if (requestsInterrupt !== undefined && !names.includes(requestsInterrupt)) {
    throw new CardDefinitionError(
      `${who}: there is no field '${requestsInterrupt}' in the layout of its ${role}: it has ${names.join(', ')}`,
    );
  }
  return { role: role as DmaRole, strideBytes, words, ...(requestsInterrupt && { requestsInterrupt }) };
}
