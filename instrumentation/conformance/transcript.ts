/** What went over the sockets of one case, as lines; of long exchanges the beginning and the end. */
import { commandName, Header, HEADER_BYTES, HeaderFlag } from '../../emulator/vfio-user/wire';
import { errnoName } from '../../emulator/vfio-user/errno';

const FIRST_LINES = 6;
const LAST_LINES = 14;
const SHOWN_BYTES = 48;

export class Transcript {
  readonly #first: string[] = [];
  readonly #last: string[] = [];
  #left = 0;

  add(line: string): void {
    if (this.#first.length < FIRST_LINES) {
      this.#first.push(line);
      return;
    }
    this.#last.push(line);
    if (this.#last.length <= LAST_LINES) return;
    this.#last.shift();
    this.#left++;
  }

  get lines(): readonly string[] {
    const between = this.#left > 0 ? [`… ${this.#left} more …`] : [];
    return [...this.#first, ...between, ...this.#last];
  }
}

/** A header in words, and the first bytes behind it. Bytes that are no whole header are shown as they are. */
export function describeBytes(bytes: Uint8Array, descriptors = 0): string {
  const passed = descriptors > 0 ? `, ${descriptors} descriptor${descriptors > 1 ? 's' : ''}` : '';
  if (bytes.length < HEADER_BYTES) return `${bytes.length} bytes: ${hexOf(bytes)}${passed}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint32(Header.FLAGS, true);
  const sizeBytes = view.getUint32(Header.SIZE, true);
  const size = sizeBytes === bytes.length ? `size ${sizeBytes}` : `size ${sizeBytes}, ${bytes.length} bytes here`;
  const errno = flags & HeaderFlag.ERROR ? `, ${errnoName(view.getUint32(Header.ERROR, true))}` : '';
  const name = commandName(view.getUint16(Header.COMMAND, true));
  const id = view.getUint16(Header.ID, true);
  const payload = bytes.length > HEADER_BYTES ? `: ${hexOf(bytes.subarray(HEADER_BYTES))}` : '';
  return `${name}, id ${id}, ${size}, flags 0x${flags.toString(16)}${errno}${passed}${payload}`;
}

function hexOf(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('hex');
  return bytes.length > SHOWN_BYTES ? `${shown}…` : shown;
}
