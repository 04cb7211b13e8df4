/**
 * Where the capabilities of a function lie in configuration space, and how they are chained: at the offset that the card's
 * author gives, otherwise at the library's usual place or in the first gap.
 *
 * Source: PCI Local Bus Spec 3.0, 6.7 (capability list, from 40h); PCI Express Base Spec 5.0, 7.6.3 (extended
 * capabilities, the first at 100h).
 */
import { type ByteRange, overlap } from './bar-windows';
import { CardDefinitionError } from './identity';

export type CapabilityKind = 'standard' | 'extended';

/** A capability that wants a place. */
export interface Claim {
  readonly name: string;
  readonly kind: CapabilityKind;
  readonly sizeBytes: number;
  /** Where it has to lie. */
  readonly offset?: number | undefined;
  /** Where it lies if that is free. */
  readonly preferred?: number;
  /** It lies in the first gap that all others leave. */
  readonly isLast?: boolean;
}

/** What lies at a fixed place and is no capability: the header, registers of the author. */
export interface Taken extends ByteRange {
  readonly name: string;
}

export const AREAS = {
  standard: { from: 0x40, to: 0x100, label: 'configuration space for capabilities (0x40 to 0xff)' },
  extended: { from: 0x100, to: 0x1000, label: 'extended configuration space (0x100 to 0xfff)' },
} as const;

/** Where the library's own capabilities lie unless the card says otherwise. */
export const CAPABILITY_OFFSETS = {
  powerManagement: 0x40,
  msi: 0x50,
  msix: 0x70,
  pciExpress: 0x80,
  platformTable: 0xc0,
  serialNumber: 0x100,
} as const;

/**
 * Returns the offset of each capability, by name. Throws CardDefinitionError when two want the same bytes, or there is no
 * room for one.
 */
export function placeCapabilities(claims: readonly Claim[], taken: readonly Taken[]): Map<string, number> {
  const all = [...taken];
  const offsets = new Map<string, number>();
  const put = ({ name, sizeBytes }: Claim, offset: number) => {
    all.push({ name, offset, sizeBytes });
    offsets.set(name, offset);
  };
  for (const claim of claims) {
    if (claim.offset === undefined) continue;
    checkFixed(claim, claim.offset, all);
    put(claim, claim.offset);
  }
  const isFree = (range: ByteRange) => !all.some((other) => overlap(other, range));
  const byPreference = claims.filter(({ offset }) => offset === undefined);
  const rank = ({ preferred, isLast }: Claim) => (isLast ? 2 : preferred === undefined ? 1 : 0);
  byPreference.sort((a, b) => rank(a) - rank(b));
  for (const claim of byPreference) {
    const { kind, name, preferred, sizeBytes } = claim;
    const { from, to, label } = AREAS[kind];
    let offset = preferred !== undefined && isFree({ offset: preferred, sizeBytes }) ? preferred : from;
    while (!isFree({ offset, sizeBytes })) offset += 4;
    if (offset + sizeBytes > to) {
      throw new CardDefinitionError(`capability ${name} (${sizeBytes} bytes): there is no gap for it in ${label}`);
    }
    put(claim, offset);
  }
  checkFirstExtended(claims, offsets);
  return offsets;
}

/**
 * Returns the next pointer of each capability of one kind, by name, and of '' the first: those that `order` names come in
 * its order, the others after them by ascending offset. 0 ends the chain.
 */
export function chainOf(
  names: readonly string[],
  offsets: ReadonlyMap<string, number>,
  order: readonly string[] = [],
): Map<string, number> {
  const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const chain = [...names].sort((a, b) => rank(a) - rank(b) || offsets.get(a)! - offsets.get(b)!);
  return new Map(['', ...chain].map((name, index) => [name, offsets.get(chain[index]!) ?? 0]));
}

const hex = (value: number): string => `0x${value.toString(16)}`;

const span = ({ name, offset, sizeBytes }: Taken): string =>
  `${name} (${hex(offset)} to ${hex(offset + sizeBytes - 1)})`;

function checkFixed({ name, kind, sizeBytes }: Claim, offset: number, others: readonly Taken[]): void {
  const { from, to, label } = AREAS[kind];
  const what = `capability ${span({ name, offset, sizeBytes })}`;
  if (offset % 4 !== 0) throw new CardDefinitionError(`${what}: its offset must be a multiple of 4`);
  if (offset < from || offset + sizeBytes > to) throw new CardDefinitionError(`${what} is not inside ${label}`);
  const hit = others.find((other) => overlap(other, { offset, sizeBytes }));
  if (hit) throw new CardDefinitionError(`${what} and ${span(hit)} overlap: move one of them`);
}

function checkFirstExtended(claims: readonly Claim[], offsets: ReadonlyMap<string, number>): void {
  const extended = claims.filter(({ kind }) => kind === 'extended').map(({ name }) => name);
  if (extended.length === 0 || extended.some((name) => offsets.get(name) === AREAS.extended.from)) return;
  throw new CardDefinitionError(
    `no extended capability lies at 0x100, where the chain begins: give one of ${extended.join(', ')} the offset 0x100`,
  );
}
