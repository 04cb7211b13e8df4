/** Times, sizes and numbers in words. */

const THIN = '\u2009';
const UNITS = [
  { name: 's', ns: 1e9 },
  { name: 'ms', ns: 1e6 },
  { name: 'µs', ns: 1e3 },
  { name: 'ns', ns: 1 },
] as const;

/** Digits in groups of three, on both sides of the point. */
export function grouped(value: number, decimals: number): string {
  const [whole = '', fraction] = Math.abs(value).toFixed(decimals).split('.');
  const left = whole.replace(/\B(?=(\d{3})+$)/g, THIN);
  const right = fraction?.replace(/(\d{3})(?=\d)/g, `$1${THIN}`);
  return `${value < 0 ? '−' : ''}${left}${right === undefined ? '' : `.${right}`}`;
}

/** `12 345.678`: microseconds, as the command line writes them. */
export const microseconds = (ns: number): string => grouped(ns / 1000, 3);

/** A length of time, in the unit that suits it: `1.25 ms`. */
export function duration(ns: number): string {
  const unit = UNITS.find((each) => Math.abs(ns) >= each.ns) ?? UNITS[3];
  const value = ns / unit.ns;
  const decimals = unit.ns === 1 ? 0 : Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3;
  return `${grouped(value, decimals)}${THIN}${unit.name}`;
}

/** A point in time on an axis whose ticks are `stepNs` apart, and which goes up to `mostNs`. */
export function timeLabel(ns: number, stepNs: number, mostNs: number): string {
  const unit = UNITS.find((each) => mostNs >= each.ns) ?? UNITS[3];
  const decimals = Math.max(0, Math.min(9, Math.ceil(-Math.log10(stepNs / unit.ns) - 1e-9)));
  return `${grouped(ns / unit.ns, decimals)}${THIN}${unit.name}`;
}

/** `4 KiB`, `48 B` */
export function bytes(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let value = size;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}

export const hex = (value: number | bigint, digits = 0): string => `0x${value.toString(16).padStart(digits, '0')}`;

export const count = (value: number): string => grouped(value, 0);

export const times = (value: number): string => (value === 1 ? 'once' : `${count(value)} times`);
