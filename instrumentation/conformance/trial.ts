/** One case under way: its clients, and the descriptors that it passes. All are closed with it. */
import { constants, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Native, WOULD_BLOCK } from '../../emulator/native';
import { Command } from '../../emulator/vfio-user/wire';
import { Client } from './client';
import { type Device, learn, type Limits, limitsOf } from './device';
import { capabilitiesOf, versionOf } from './messages';
import { connectTo } from './target';
import { type Transcript } from './transcript';

/** What QEMU's client proposes. */
export const PROPOSED = {
  max_msg_fds: 16,
  max_data_xfer_size: 1048576,
  max_dma_maps: 65535,
  pgsizes: 4096,
  write_multiple: true,
};

/** What was learned from this server; asked once a run. */
export class Knowledge {
  device: Device | undefined;
}

export class Trial implements Disposable {
  readonly #clients: Client[] = [];
  readonly #descriptors: number[] = [];

  constructor(
    readonly native: Native,
    readonly socketPath: string,
    private readonly transcript: Transcript,
    private readonly knowledge: Knowledge,
    private readonly options: {
      readonly timeoutMs: number;
      /** The server's open descriptors, if they can be counted. */
      readonly openInServer: () => number | undefined;
      /** Waits until the server has ended, and starts it again; present if it ends with each client. */
      readonly restart?: () => Promise<void>;
    },
  ) {}

  get timeoutMs(): number {
    return this.options.timeoutMs;
  }

  openInServer(): number | undefined {
    return this.options.openInServer();
  }

  /** Whether each connection costs a start of the server. */
  get isSingleShot(): boolean {
    return this.options.restart !== undefined;
  }

  /** A client that has only connected. Waits until the server listens. */
  async connect(): Promise<Client> {
    if (this.#clients.length > 0 && this.#clients.every(({ isClosed }) => isClosed)) await this.options.restart?.();
    const fd = await connectTo(this.native, this.socketPath, this.timeoutMs);
    const name = `client ${this.#clients.length + 1}`;
    const client = new Client(this.native, fd, name, this.transcript, this.timeoutMs);
    this.#clients.push(client);
    return client;
  }

  /** A client that has negotiated. */
  async session(capabilities: object = PROPOSED): Promise<Client> {
    return (await this.negotiated(capabilities)).client;
  }

  async negotiated(capabilities: object = PROPOSED): Promise<{ client: Client; limits: Limits }> {
    const client = await this.connect();
    const { payload } = await client.accepted(Command.VERSION, { payload: versionOf(capabilitiesOf(capabilities)) });
    return { client, limits: limitsOf(payload) };
  }

  /** A session, and what the device has. */
  async open(capabilities: object = PROPOSED): Promise<{ client: Client; device: Device }> {
    const { client, limits } = await this.negotiated(capabilities);
    this.knowledge.device ??= await learn(client, limits);
    return { client, device: this.knowledge.device };
  }

  eventfd(): number {
    return this.keep(this.native.eventfd());
  }

  eventfds(count: number): number[] {
    return Array.from({ length: count }, () => this.eventfd());
  }

  /** A file in memory. */
  memory(sizeBytes: number): number {
    return this.keep(this.native.memfdCreate('conformance', sizeBytes));
  }

  opened(path: string): number {
    return this.keep(openSync(path, constants.O_RDONLY));
  }

  /** A socket whose other end is closed: writing to it raises SIGPIPE, unless that is ignored. */
  brokenSocket(): number {
    const [mine, other] = this.native.socketpair();
    this.native.close(other);
    return this.keep(mine);
  }

  /** A socket that would block who writes to it, unless it does not wait. */
  fullSocket(): number {
    const [mine, other] = this.native.socketpair();
    this.keep(other);
    const bytes = new Uint8Array(65_536);
    while (this.native.send(mine, bytes, 0, bytes.length) !== WOULD_BLOCK);
    return this.keep(mine);
  }

  /** A file whose size can change. It has no name any more. */
  resizable(sizeBytes: number): number {
    const folder = mkdtempSync(join(tmpdir(), 'ghostcard-conformance-'));
    const fd = this.keep(openSync(join(folder, 'memory'), constants.O_RDWR | constants.O_CREAT, 0o600));
    rmSync(folder, { recursive: true });
    ftruncateSync(fd, sizeBytes);
    return fd;
  }

  /** Closes `fd` at the end of the case. */
  keep(fd: number): number {
    this.#descriptors.push(fd);
    return fd;
  }

  /** Closes it now. */
  close(fd: number): void {
    this.#descriptors.splice(this.#descriptors.indexOf(fd), 1);
    this.native.close(fd);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.close();
    for (const fd of this.#descriptors.splice(0)) this.native.close(fd);
  }
}
