/** What a DMA access carries, field by field, where the card declares how it is laid out. */
import { type DmaLayout, type WordLayout } from '../../emulator/pci';

/** One structure, or the part of it that an access carries. */
export interface DecodedStructure {
  /** Where it begins, from the beginning of the access on; negative when only a later part of it is carried. */
  readonly start: number;
  readonly words: readonly { readonly layout: WordLayout; readonly value: bigint }[];
}

/** The structures in `data`; words that are only partly there are left out. */
export function decodeStructures(
  { strideBytes, words }: DmaLayout,
  iova: number,
  data: Uint8Array,
): DecodedStructure[] {
  const isAligned = Number.isInteger(Math.log2(strideBytes));
  const skipped = isAligned ? iova % strideBytes : 0;
  const sizeBytes = words.reduce((most, word) => Math.max(most, endOf(word)), 0);
  const structures: DecodedStructure[] = [];
  for (let start = -skipped; start < data.length; start += strideBytes) {
    if (!isAligned && start + sizeBytes > data.length) break;
    const whole = words.filter((word) => start + word.offset >= 0 && start + endOf(word) <= data.length);
    if (whole.length === 0) continue;
    structures.push({
      start,
      words: whole.map((layout) => ({ layout, value: valueAt(data, start + layout.offset, layout) })),
    });
  }
  return structures;
}

const endOf = ({ offset, width }: WordLayout): number => offset + width / 8;

function valueAt(data: Uint8Array, at: number, { width }: WordLayout): bigint {
  let value = 0n;
  for (let byte = width / 8; byte-- > 0;) value = (value << 8n) | BigInt(data[at + byte]!);
  return value;
}
