/**
 * DMA to memory that the client does not share: DMA_READ and DMA_WRITE requests from the server, answered by the
 * client. An access is split into pieces of the negotiated size, which are sent one after the other. Several accesses
 * may be in progress.
 *
 * Source: QEMU docs/interop/vfio-user.rst, sections "VFIO_USER_DMA_READ" and "VFIO_USER_DMA_WRITE". QEMU's reply to a
 * DMA_WRITE repeats the count in 8 bytes, the specification says 4: only the first 4 bytes are used.
 */
import { DmaError, type RemoteMemory } from '../memory';
import { encodeHeader } from './codec';
import { errnoName } from './errno';
import { Command, DMA_ACCESS_BYTES, DmaAccess, HEADER_BYTES, HeaderFlag } from './wire';

export interface RemoteDmaOptions {
  /** Sends a request. `header` and `payload` may be reused afterwards. */
  readonly send: (header: Uint8Array, payload?: Uint8Array) => void;
  readonly maxTransferBytes: number;
  readonly timeoutMs: number;
}

interface Request {
  readonly access: 'read' | 'write';
  readonly iova: bigint;
  readonly bytes: Uint8Array;
  readonly timer: NodeJS.Timeout;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class RemoteDma implements RemoteMemory {
  readonly #request = new Uint8Array(HEADER_BYTES + DMA_ACCESS_BYTES);
  readonly #requestView = new DataView(this.#request.buffer);
  readonly #pending = new Map<number, Request>();
  /** Ids of requests that timed out. They are not reused until their reply has arrived after all. */
  readonly #abandoned = new Set<number>();
  #lastId = 0;
  #closed = false;

  constructor(private readonly options: RemoteDmaOptions) {}

  async read(iova: bigint, into: Uint8Array): Promise<void> {
    await this.#inPieces('read', iova, into);
  }

  async write(iova: bigint, from: Uint8Array): Promise<void> {
    await this.#inPieces('write', iova, from);
  }

  /** Handles a reply whose header is at `at`. False if no request waits for it. */
  settle(bytes: Uint8Array, view: DataView, at: number, sizeBytes: number): boolean {
    const id = view.getUint16(at, true);
    const request = this.#pending.get(id);
    if (request === undefined) return this.#abandoned.delete(id);
    this.#pending.delete(id);
    clearTimeout(request.timer);
    const failure = this.#take(request, bytes, view, at, sizeBytes);
    if (failure === undefined) request.resolve();
    else request.reject(failed(request, failure));
    return true;
  }

  /** The client has disconnected: all pending requests fail. */
  close(): void {
    this.#closed = true;
    for (const request of this.#pending.values()) {
      clearTimeout(request.timer);
      request.reject(failed(request, 'the client disconnected'));
    }
    this.#pending.clear();
  }

  async #inPieces(access: 'read' | 'write', iova: bigint, bytes: Uint8Array): Promise<void> {
    const { maxTransferBytes } = this.options;
    for (let done = 0; done < bytes.length; done += maxTransferBytes) {
      const piece = bytes.subarray(done, Math.min(done + maxTransferBytes, bytes.length));
      await this.#ask(access, iova + BigInt(done), piece);
    }
  }

  #ask(access: 'read' | 'write', iova: bigint, bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const id = this.#freeId();
      if (this.#closed || id === undefined) {
        reject(
          failed({ access, iova, bytes }, this.#closed ? 'the client disconnected' : 'too many requests are pending'),
        );
        return;
      }
      const timer = setTimeout(() => this.#giveUp(id), this.options.timeoutMs);
      this.#pending.set(id, { access, iova, bytes, timer, resolve, reject });
      const command = access === 'read' ? Command.DMA_READ : Command.DMA_WRITE;
      const payload = access === 'write' ? bytes : undefined;
      const sizeBytes = this.#request.length + (payload?.length ?? 0);
      encodeHeader(this.#requestView, id, command, sizeBytes, HeaderFlag.TYPE_COMMAND);
      this.#requestView.setBigUint64(DmaAccess.ADDRESS, iova, true);
      this.#requestView.setBigUint64(DmaAccess.COUNT, BigInt(bytes.length), true);
      this.options.send(this.#request, payload);
    });
  }

  #freeId(): number | undefined {
    for (let tried = 0; tried <= 0xffff; tried++) {
      this.#lastId = (this.#lastId + 1) & 0xffff;
      if (!this.#pending.has(this.#lastId) && !this.#abandoned.has(this.#lastId)) return this.#lastId;
    }
    return undefined;
  }

  #giveUp(id: number): void {
    const request = this.#pending.get(id);
    if (request === undefined) return;
    this.#pending.delete(id);
    this.#abandoned.add(id);
    request.reject(failed(request, `no reply within ${this.options.timeoutMs} ms`));
  }

  /** Stores the data of the reply. Returns what is wrong with the reply, or undefined. */
  #take(request: Request, bytes: Uint8Array, view: DataView, at: number, sizeBytes: number): string | undefined {
    const { errno, command, flags } = {
      command: view.getUint16(at + 2, true),
      flags: view.getUint32(at + 8, true),
      errno: view.getUint32(at + 12, true),
    };
    const { length } = request.bytes;
    if (flags & HeaderFlag.ERROR) return `the client refused (${errnoName(errno)})`;
    if (command !== (request.access === 'read' ? Command.DMA_READ : Command.DMA_WRITE)) {
      return `the reply is to command ${command}`;
    }
    const dataBytes = sizeBytes - DmaAccess.DATA;
    const count = sizeBytes >= DmaAccess.COUNT + 4 ? view.getUint32(at + DmaAccess.COUNT, true) : 0;
    if (count !== length || (request.access === 'read' && dataBytes < length)) {
      return `the reply has ${request.access === 'read' ? Math.min(count, Math.max(0, dataBytes)) : count} bytes`;
    }
    if (request.access === 'read') request.bytes.set(bytes.subarray(at + DmaAccess.DATA, at + DmaAccess.DATA + length));
    return undefined;
  }
}

const failed = ({ access, iova, bytes }: Pick<Request, 'access' | 'iova' | 'bytes'>, why: string): DmaError =>
  new DmaError('client-error', access, Number(iova), bytes.length, `by message: ${why}`);
