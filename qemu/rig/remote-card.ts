/**
 * A card that another process serves: `ghostcard serve` in another terminal, or another vfio-user server. All that can be
 * seen of it from here is whether its process is still there.
 */
import { connect, type Socket } from 'node:net';

export class RemoteCard {
  /** The loss of its process, once that has happened: the only error that can be seen from here. */
  readonly modelErrors: Error[] = [];
  /** Whether it has been unplugged, and QEMU is still connected to it. */
  isReplacement = false;
  private secondConnection: Socket | undefined;

  constructor(
    readonly socketPath: string,
    private readonly name: string,
    private readonly onLost: (message: string) => void,
  ) {}

  get isLost(): boolean {
    return this.modelErrors.length > 0;
  }

  /**
   * Notices the end of the server. To be called when QEMU is connected: a second connection then waits in the server's
   * backlog, unanswered, until the kernel closes it along with the server.
   */
  watch(): void {
    if (this.secondConnection) return;
    this.secondConnection = connect(this.socketPath).unref();
    this.secondConnection.on('error', () => {}); // 'close' follows
    this.secondConnection.on('close', () => this.reportLoss());
  }

  /** Throws unless the server has gone: QEMU holds the one connection that it accepts, and would wait for a second. */
  severLink(): void {
    if (this.isLost) return;
    throw new Error(
      `the card '${this.name}' is served by another process at ${this.socketPath}, which is still there: end that ` +
        'process to take the link down, start it again, and then restart the card here',
    );
  }

  /** What reads return now is up to QEMU: all ones. */
  leave(): void {}

  async close(): Promise<void> {
    this.secondConnection?.removeAllListeners('close').destroy();
  }

  private reportLoss(): void {
    const message =
      `the process that serves the card '${this.name}' at ${this.socketPath} has gone, or has been restarted. The guest ` +
      'runs on, and reads all ones from the card. Start the process again if need be, and then the run; ' +
      'a program that uses Rig can plug the new card into the running guest (restartCard)';
    this.modelErrors.push(new Error(message));
    this.onLost(message);
  }
}

/**
 * Explains an error of QEMU that found no server at the socket of one of these cards. It cannot be checked before: who
 * connects is a client, and some servers end when their first client disconnects.
 */
export function explainRefusal(
  error: unknown,
  cards: readonly { readonly name: string; readonly socketPath?: string }[],
): unknown {
  const text = error instanceof Error ? error.message : '';
  const said = ({ socketPath = '' }): string | undefined =>
    text
      .split(`Failed to connect to '${socketPath}': `)[1]
      ?.match(/^(?:Connection refused|No such file or directory)/)?.[0];
  const unserved = cards.find(said);
  if (unserved === undefined) return error;
  const why =
    said(unserved) === 'Connection refused'
      ? 'the socket is there, but its process has ended (connection refused)'
      : 'its process has ended, and has removed the socket';
  return new Error(
    `no process serves the card '${unserved.name}' at ${unserved.socketPath}: ${why}. Start the process again first`,
    { cause: error },
  );
}
