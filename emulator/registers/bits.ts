/** Arithmetic on bit ranges, and how numbers are written in messages and generated text. */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** All bits from `lsb` to `msb`, in place. */
export const bitMask = (msb: number, lsb: number): bigint => ((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb);
