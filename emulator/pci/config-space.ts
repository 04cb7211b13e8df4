/**
 * Configuration space as the bus sees it: 4096 bytes that contain the header, the capabilities, and registers of the
 * card's author, each a register file. An access of any size is split between them; the gaps read 0.
 *
 * What is in it is fixed when it is first looked at: only then does every capability have its place.
 *
 * Source: PCI Express Base Spec 5.0, 7.2 (layout), 7.5 and 7.6 (capability chains).
 */
import { type RegisterFile, type RegisterMap } from '../registers';
import { type ByteRange } from './bar-windows';
import { type CapabilityKind, chainOf, type Claim, placeCapabilities, type Taken } from './config-placement';
import { CardDefinitionError } from './identity';
import { CONFIG_SIZE_BYTES } from './vfio-layout';

/** A structure in configuration space. */
export interface ConfigStructure {
  /** Its name in traces; '' for the header. */
  readonly name: string;
  readonly offset: number;
  readonly registers: {
    /** Names its registers. */
    readonly map: RegisterMap;
    read(offset: number, data: Uint8Array): void;
    write(offset: number, data: Uint8Array): void;
  };
}

/** A capability whose registers ID and NEXT, or HEADER, lead to the next one. */
export interface Capability extends Omit<Claim, 'sizeBytes'> {
  readonly registers: RegisterFile;
  /** Default: up to the end of its last register. */
  readonly sizeBytes?: number;
}

/** A structure with the bytes that it answers, as offsets of configuration space. */
interface Placed extends ConfigStructure {
  readonly ranges: readonly ByteRange[];
}

const HEADER_BYTES = 64;

export class ConfigSpace {
  readonly sizeBytes = CONFIG_SIZE_BYTES;
  readonly #capabilities: Capability[] = [];
  readonly #registers: { name: string; file: RegisterFile }[] = [];
  #placed: readonly Placed[] | undefined;

  /** `order` names capabilities in the order of their chain; those that it leaves out follow by ascending offset. */
  constructor(
    private readonly header: RegisterFile,
    private readonly order: readonly string[] = [],
  ) {}

  /** The structures, each at its place. Nothing can be added afterwards. */
  get structures(): readonly ConfigStructure[] {
    return (this.#placed ??= this.#place());
  }

  addCapability(capability: Capability): void {
    this.#checkName(capability.name);
    this.#capabilities.push(capability);
  }

  /** Registers outside the capabilities: their offsets are those of configuration space. */
  addRegisters(name: string, file: RegisterFile): void {
    this.#checkName(name);
    for (const { path, offset, width } of file.map.registers) {
      if (offset >= HEADER_BYTES) continue;
      throw new CardDefinitionError(
        `configuration register ${name}.${path} (${width} bits at ${hex(offset)}) lies in the header (0x0 to 0x3f), which ` +
          'shows the identity: its own registers begin at 0x40',
      );
    }
    this.#registers.push({ name, file });
  }

  read(offset: number, data: Uint8Array): void {
    data.fill(0);
    for (const { registers, ...part } of this.#touched(offset, data.length)) {
      registers.read(part.from - part.base, data.subarray(part.from - offset, part.to - offset));
    }
  }

  write(offset: number, data: Uint8Array): void {
    for (const { registers, ...part } of this.#touched(offset, data.length)) {
      registers.write(part.from - part.base, data.subarray(part.from - offset, part.to - offset));
    }
  }

  /** The structures that an access touches, with the part of the access (configuration offsets) in each. */
  *#touched(offset: number, length: number) {
    for (const { offset: base, ranges, registers } of (this.#placed ??= this.#place())) {
      for (const range of ranges) {
        const from = Math.max(offset, range.offset);
        const to = Math.min(offset + length, range.offset + range.sizeBytes);
        if (from < to) yield { base, from, to, registers };
      }
    }
  }

  #place(): Placed[] {
    const claims = this.#capabilities.map((each) => ({
      ...each,
      sizeBytes: each.sizeBytes ?? bytesOf(each.registers),
    }));
    const taken: Taken[] = this.#registers.flatMap(({ name, file }) =>
      file.map.registers.map(({ path, ...register }) => ({ name: `${name}.${path}`, ...rangeOf(register) })),
    );
    const offsets = placeCapabilities(claims, taken);
    const unknown = this.order.find((name) => !offsets.has(name));
    if (unknown !== undefined) {
      const known = [...offsets.keys()].join(', ');
      throw new CardDefinitionError(`capabilityOrder names ${unknown}: the card has the capabilities ${known}`);
    }
    this.#chain('standard', offsets);
    this.#chain('extended', offsets);
    return [
      { name: '', offset: 0, registers: this.header, ranges: [{ offset: 0, sizeBytes: HEADER_BYTES }] },
      ...claims.map(({ name, registers, sizeBytes }) => {
        const offset = offsets.get(name)!;
        return { name, offset, registers, ranges: [{ offset, sizeBytes }] };
      }),
      ...this.#registers.map(({ name, file }) => {
        return { name, offset: 0, registers: file, ranges: file.map.registers.map(rangeOf) };
      }),
    ];
  }

  /** Makes each capability of a kind show where the next one is. */
  #chain(kind: CapabilityKind, offsets: ReadonlyMap<string, number>): void {
    const links = this.#capabilities.filter((each) => each.kind === kind);
    const next = chainOf(
      links.map(({ name }) => name),
      offsets,
      this.order,
    );
    if (kind === 'standard') this.header.onRead('CAPABILITIES_POINTER', () => next.get('')!);
    for (const { name, registers } of links) {
      const pointer = next.get(name)!;
      if (kind === 'standard') registers.onRead('NEXT', () => pointer);
      else registers.onRead('HEADER', (stored) => (Number(stored) | (pointer << 20)) >>> 0);
    }
  }

  #checkName(name: string): void {
    if (this.#placed) {
      throw new CardDefinitionError(
        `${name}: configuration space has been read already; add to it in the constructor or in fields`,
      );
    }
    const isKnown = [...this.#capabilities, ...this.#registers].some((other) => other.name === name);
    if (!/^[A-Za-z]\w*$/.test(name) || isKnown) {
      throw new CardDefinitionError(
        `'${name}' in configuration space: ` +
          (isKnown
            ? 'there is one of this name already'
            : 'a name has letters, digits and _, and starts with a letter'),
      );
    }
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;

const rangeOf = ({ offset, width }: { readonly offset: number; readonly width: number }): ByteRange => {
  return { offset, sizeBytes: width / 8 };
};

/** Up to the end of the last register, in whole 32-bit words. */
const bytesOf = ({ map }: RegisterFile): number => {
  const { offset, width } = map.registers.at(-1)!;
  return Math.ceil((offset + width / 8) / 4) * 4;
};
