/** For protocol tests: a device served on a real socket in a folder of its own, and a check for leaks. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { loadNative } from '../../emulator/native';
import { serve, type ServeOptions, type ServerEvent, type VfioUserServer } from '../../emulator/vfio-user';
import { type ClientOptions, VfioUserClient } from '../support/vfio-user-client';
import { FakeDevice } from './fake-device';

export const native = loadNative();

export interface Serving {
  readonly device: FakeDevice;
  readonly server: VfioUserServer;
  readonly socketPath: string;
  /** All events of the server, in order. */
  readonly events: ServerEvent[];
  /** A client that has negotiated the version. */
  connect(options?: ClientOptions): Promise<VfioUserClient>;
  /** A client that has only connected. */
  connectRaw(options?: ClientOptions): VfioUserClient;
  /** Resolves when the server has seen this many clients disconnect. */
  disconnected(count?: number): Promise<void>;
}

/** Serves a device until the test ends, and checks then that every descriptor opened since is closed again. */
export async function serving(device = new FakeDevice(), options: Partial<ServeOptions> = {}): Promise<Serving> {
  checkForLeaks();
  const folder = mkdtempSync(join(tmpdir(), 'ghostcard-protocol-'));
  const socketPath = join(folder, 'card');
  const events: ServerEvent[] = [];
  const clients: VfioUserClient[] = [];
  const server = await serve(device, { socketPath, onEvent: (event) => events.push(event), ...options });
  onTestFinished(async () => {
    for (const client of clients) client.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });
  const connectRaw = (clientOptions?: ClientOptions): VfioUserClient => {
    const client = new VfioUserClient(socketPath, clientOptions);
    clients.push(client);
    return client;
  };
  return {
    device,
    server,
    socketPath,
    events,
    connectRaw,
    connect: async (clientOptions) => {
      const client = connectRaw(clientOptions);
      await client.negotiate();
      return client;
    },
    disconnected: (count = 1) =>
      until(`${count} clients to be gone`, () => events.filter(({ kind }) => kind === 'disconnected').length >= count),
  };
}

let checking = false;

/** At the end of the test, after all later clean-up, the open descriptors must be those of now. */
function checkForLeaks(): void {
  if (checking) return;
  checking = true;
  const openBefore = openDescriptors();
  onTestFinished(() => {
    checking = false;
    expect(openDescriptors()).toEqual(openBefore);
  });
}

/** Waits for a condition, with a limit. */
export async function until(what: string, condition: () => boolean, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}: it has not happened`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The sorted targets of this process's open descriptors. */
export function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return undefined; // the folder's own descriptor
      }
    })
    .filter((target): target is string => target !== undefined)
    .sort();
}

/** Memory of a client: a file, mapped here; both are closed when the test ends. */
export function sharedMemory(sizeBytes: number): { readonly fd: number; readonly bytes: Uint8Array } {
  const fd = native.memfdCreate('protocol test', sizeBytes);
  const buffer = native.map(fd, 0, sizeBytes, true);
  onTestFinished(() => {
    native.unmap(buffer);
    native.close(fd);
  });
  return { fd, bytes: new Uint8Array(buffer) };
}

/** Eventfds of a client; closed when the test ends. */
export function eventfds(count: number): number[] {
  const fds = Array.from({ length: count }, () => native.eventfd());
  onTestFinished(() => fds.forEach((fd) => native.close(fd)));
  return fds;
}

/** Matches an error reply. */
export const errorReply = (errno: number): unknown => expect.objectContaining({ name: 'ErrorReply', errno });

export const Errno = {
  ENOMEM: 12,
  ENODEV: 19,
  ENOSPC: 28,
  EEXIST: 17,
  EINVAL: 22,
  ENOTTY: 25,
  ENOSYS: 38,
  EPROTO: 71,
  EOPNOTSUPP: 95,
  EIO: 5,
} as const;
