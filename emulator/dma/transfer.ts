/**
 * Moves the bytes of one descriptor between host memory and an endpoint of the card, window by window: held back while
 * the endpoint is not ready, and slowed by the link.
 */
import { type Wait } from '../clock';
import { type DmaPort } from '../memory';
import { type DataSink, type DataSource } from './endpoint';
import { type Link } from './link';

/** Where bytes go to (host to card) or come from (card to host); asked for again for every window. */
export type Endpoint =
  | {
      /** The sink of a transfer from host to card. */
      readonly h2c: () => DataSink;
    }
  | {
      /** The source of a transfer from card to host. */
      readonly c2h: () => DataSource;
    };

/** What a transfer passes through: host memory, the link, and the endpoint of the card. */
export interface TransferPath {
  /** For the data. */
  readonly port: DmaPort;
  readonly link: Link;
  readonly endpoint: Endpoint;
}

/** What is to be moved. */
export interface TransferOrder {
  readonly hostAddress: number;
  readonly cardAddress: number;
  readonly lengthBytes: number;
  /** H2C: the last byte ends a packet. */
  readonly endOfPacket: number | boolean;
}

/** What a transfer has done; one object is reused from descriptor to descriptor. */
export interface TransferResult {
  movedBytes: number;
  /** C2H: the last byte moved ended a packet. */
  endedPacket: boolean;
}

/** What no request crosses (PCI Express Base Spec 5.0, 2.2.7), and the largest that there is (7.5.3.4). */
const PAGE_BYTES = 4096;

/** From an address to the end of its 4 KiB page. */
export const bytesInPage = (iova: number): number => PAGE_BYTES - (iova & (PAGE_BYTES - 1));

/** Of a window that may be one request, what lies in its page; a longer one is several requests in any case. */
export const withinPage = (iova: number, window: Uint8Array): Uint8Array =>
  window.length > PAGE_BYTES || window.length <= bytesInPage(iova) ? window : window.subarray(0, bytesInPage(iova));

/** A transfer yields to register accesses after this much: a driver may ask for gigabytes in one descriptor. */
const TURN_BYTES = 1 << 20;

/** Whether a turn is over with the last `bytes` of those that have been moved, and there are more to move. */
export const endsTurn = (movedBytes: number, bytes: number, lengthBytes: number): boolean =>
  movedBytes < lengthBytes && movedBytes % TURN_BYTES < bytes && movedBytes >= TURN_BYTES;

/** Ends when all bytes are moved or, C2H, with the packet. Throws DmaError or CardAddressError. */
export function* transfer(
  { port, link, endpoint }: TransferPath,
  { hostAddress, cardAddress, lengthBytes, endOfPacket }: TransferOrder,
  result: TransferResult,
): Generator<Wait, void, void> {
  result.movedBytes = 0;
  result.endedPacket = false;
  while (result.movedBytes < lengthBytes && !result.endedPacket) {
    const moved = result.movedBytes;
    let window: Uint8Array | undefined;
    if ('h2c' in endpoint) {
      const sink = endpoint.h2c();
      window = sink.reserve(cardAddress + moved, lengthBytes - moved);
      if (window === undefined) {
        yield (resume) => sink.whenReady(resume);
        continue;
      }
      window = withinPage(hostAddress + moved, window);
      yield* port.read(hostAddress + moved, window);
      result.movedBytes += window.length;
      sink.commit(window.length, Boolean(endOfPacket) && result.movedBytes === lengthBytes);
    } else {
      const source = endpoint.c2h();
      window = source.peek(cardAddress + moved, lengthBytes - moved);
      if (window === undefined) {
        yield (resume) => source.whenReady(resume);
        continue;
      }
      window = withinPage(hostAddress + moved, window);
      yield* port.write(hostAddress + moved, window);
      result.movedBytes += window.length;
      result.endedPacket = source.consume(window.length);
    }
    const delayNs = link.occupy('h2c' in endpoint ? 'h2c' : 'c2h', window.length);
    if (delayNs > 0 || endsTurn(result.movedBytes, window.length, lengthBytes)) yield { delayNs };
  }
  if (link.completionLatencyNs > 0) yield { delayNs: link.completionLatencyNs };
}
