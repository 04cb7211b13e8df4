/**
 * File transfers to and from the guest, with a limit on the time without progress.
 *
 * Source: qemu/channel/protocol.ts, `push` and `fetch`.
 */
import { type Exchange } from './exchange';

const DEFAULT_IDLE_TIMEOUT_MS = 30_000;

/** (Re)starts the limit on the time without progress. Called at the start and for each message of the transfer. */
function progressLimit(exchange: Pick<Exchange<unknown>, 'limit' | 'what'>, idleTimeoutMs: number): () => void {
  return () =>
    exchange.limit(
      idleTimeoutMs,
      () => new Error(`${exchange.what}: no progress for ${idleTimeoutMs} ms: the guest hangs`),
    );
}

export function pushFile(
  exchange: Exchange<void>,
  path: string,
  bytes: Uint8Array,
  mode: number,
  idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS,
): Promise<void> {
  const progress = progressLimit(exchange, idleTimeoutMs);
  progress();
  exchange.onCredit = progress;
  exchange.onAnswer = (answer) => {
    if (answer.type !== 'done') return;
    if (answer.bytes === bytes.length) exchange.finish();
    else exchange.fail(new Error(`${exchange.what}: the guest stored ${answer.bytes} of ${bytes.length} bytes`));
  };
  void exchange.send({ type: 'push', id: exchange.id, path, mode });
  exchange.feed(bytes).catch((error: Error) => exchange.fail(error));
  return exchange.result;
}

export function fetchFile(
  exchange: Exchange<Buffer>,
  path: string,
  idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const progress = progressLimit(exchange, idleTimeoutMs);
  progress();
  exchange.onAnswer = (answer) => {
    progress();
    if (answer.type === 'output') {
      chunks.push(answer.data);
      exchange.consumed(answer.data);
    } else if (answer.type === 'done') {
      const bytes = Buffer.concat(chunks);
      if (answer.bytes === bytes.length) exchange.finish(bytes);
      else exchange.fail(new Error(`${exchange.what}: ${bytes.length} of ${answer.bytes} bytes arrived`));
    }
  };
  void exchange.send({ type: 'fetch', id: exchange.id, path });
  return exchange.result;
}
