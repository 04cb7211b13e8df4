/**
 * The bus of a guest's processors, accessed in their place: QEMU's qtest protocol over a connection of its own, which is
 * made when it is first needed. It accesses devices as a processor does.
 *
 * Source: QEMU system/qtest.c (the protocol, and the object `qtest`).
 */
import { createInterface } from 'node:readline';
import { OneClient } from './one-client';

const CHARDEV = 'bus';

export interface GuestBusOptions {
  /** Where QEMU is to connect. */
  readonly socketPath: string;
  readonly qmp: (command: string, args: Readonly<Record<string, unknown>>) => Promise<unknown>;
}

export class GuestBus {
  readonly #answers: AsyncIterator<string>;

  private constructor(
    private readonly client: OneClient,
    private readonly send: (line: string) => void,
    lines: AsyncIterable<string>,
  ) {
    this.#answers = lines[Symbol.asyncIterator]();
  }

  static async connect({ socketPath, qmp }: GuestBusOptions): Promise<GuestBus> {
    const client = await OneClient.listen(socketPath);
    try {
      const addr = { type: 'unix', data: { path: socketPath } };
      await qmp('chardev-add', { id: CHARDEV, backend: { type: 'socket', data: { addr, server: false } } });
      await qmp('object-add', { 'qom-type': 'qtest', 'id': CHARDEV, 'chardev': CHARDEV, 'log': 'none' });
      const socket = (await client.connection).unref();
      return new GuestBus(client, (line) => socket.write(`${line}\n`), createInterface({ input: socket }));
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Writes to a physical address. One at a time. */
  async write(address: number, sizeBytes: 2 | 4, value: number): Promise<void> {
    const command = `write${sizeBytes === 2 ? 'w' : 'l'} 0x${address.toString(16)} 0x${value.toString(16)}`;
    this.send(command);
    const { value: answer, done } = await this.#answers.next();
    if (done || !String(answer).startsWith('OK')) {
      throw new Error(`QEMU did not do '${command}' on the guest's bus: it ${done ? 'has ended' : `said '${answer}'`}`);
    }
  }

  close(): void {
    this.client.close();
  }
}
