/**
 * Moves bytes within host memory, as a copy engine does: read into its buffer and written from there, piece by piece and
 * slowed by the link; or writes a pattern.
 */
import { type Wait } from '../clock';
import { type DmaPort } from '../memory';
import { type Link } from './link';
import { endsTurn, withinPage } from './transfer';

/** What a piece may be; the bus carries it in as many requests as it takes. */
const BUFFER_BYTES = 1 << 16;

/** Copies within host memory, or writes a pattern to it, piece by piece over a link. */
export class HostCopier {
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #words = new BigUint64Array(this.#buffer.buffer);

  constructor(
    private readonly port: DmaPort,
    private readonly link: Link,
  ) {}

  /** In ascending order of addresses. Throws DmaError. */
  *copy(source: number, destination: number, sizeBytes: number): Generator<Wait, void, void> {
    const { port, link } = this;
    for (let done = 0; done < sizeBytes;) {
      const piece = withinPage(destination + done, withinPage(source + done, this.#piece(sizeBytes - done)));
      yield* port.read(source + done, piece);
      yield* port.write(destination + done, piece);
      done += piece.length;
      const delayNs = Math.max(link.occupy('h2c', piece.length), link.occupy('c2h', piece.length));
      if (delayNs > 0 || endsTurn(done, piece.length, sizeBytes)) yield { delayNs };
    }
    if (link.completionLatencyNs > 0) yield { delayNs: link.completionLatencyNs };
  }

  /** Writes eight bytes again and again, the last time as many of them as are left. Throws DmaError. */
  *fill(pattern: bigint, destination: number, sizeBytes: number): Generator<Wait, void, void> {
    const { port, link } = this;
    this.#words.fill(pattern, 0, Math.ceil(sizeBytes / 8) + 1);
    for (let done = 0; done < sizeBytes;) {
      const piece = withinPage(destination + done, this.#piece(sizeBytes - done, done % 8));
      yield* port.write(destination + done, piece);
      done += piece.length;
      const delayNs = link.occupy('c2h', piece.length);
      if (delayNs > 0 || endsTurn(done, piece.length, sizeBytes)) yield { delayNs };
    }
    if (link.completionLatencyNs > 0) yield { delayNs: link.completionLatencyNs };
  }

  #piece(leftBytes: number, from = 0): Uint8Array {
    return this.#buffer.subarray(from, Math.min(from + leftBytes, BUFFER_BYTES));
  }
}
