/** Places in words: "driver.c:212 ring_doorbell". */
import { type Frame } from './addr2line';
import { type Place } from './places';

/** "driver.c:212 ring_doorbell"; "inlined.h:3 set, inlined into driver.c:212 ring_doorbell"; "main (/usr/bin/x+0x1234)"; "/usr/bin/x+0x1234". Of several functions that one is inlined into, the innermost `levels`. */
export function namePlace(place: Place, levels = 1): string {
  const frames = place.inlinedInto.slice(0, levels);
  const inlined = frames.map((frame) => `, inlined into ${wordFrame(frame)}`).join('');
  if (place.line !== undefined) return wordFrame(place) + inlined;
  return place.function === undefined ? place.address : `${place.function}${inlined} (${place.address})`;
}

/** "gc-loopback (process 71)"; "process 71" if it has no name. */
export const wordProcess = ({ name, pid }: NonNullable<Place['process']>): string =>
  name === '' ? `process ${pid}` : `${name} (process ${pid})`;

const wordFrame = ({ file, line, function: name }: Frame): string =>
  [file !== undefined && line !== undefined && `${file.replace(/^.*\//, '')}:${line}`, name ?? '']
    .filter((part) => part !== false && part !== '')
    .join(' ');
