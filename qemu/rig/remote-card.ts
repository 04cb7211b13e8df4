/**
 * A card that another process serves: `ghostcard serve` in another terminal, or a vfio-user server that is none of ours.
 * All that is known of it from here is whether its process is still there.
 */
import { connect, type Socket } from 'node:net';

export class RemoteCard {
  /** The loss of its process, once that has happened: the only error that can be seen from here. */
  readonly modelErrors: Error[] = [];
  private lookout: Socket | undefined;

  constructor(
    readonly socketPath: string,
    private readonly name: string,
    private readonly onLost: (message: string) => void,
  ) {}

  /**
   * Notices when the server goes away. Call it when QEMU is connected: a second connection waits in the server's backlog
   * then, unanswered, until the kernel ends it along with the server.
   */
  watch(): void {
    this.lookout = connect(this.socketPath).unref();
    this.lookout.on('error', () => {}); // 'close' follows
    this.lookout.on('close', () => this.reportLoss());
  }

  /** Throws unless the server has gone: QEMU holds the one connection that it takes, and would wait for a second. */
  severLink(): void {
    if (this.modelErrors.length > 0) return;
    throw new Error(
      `the card '${this.name}' is served by another process at ${this.socketPath}, which is still there: end that ` +
        'process to take the link down, start it again, and then restart the card here',
    );
  }

  async close(): Promise<void> {
    this.lookout?.removeAllListeners('close').destroy();
  }

  private reportLoss(): void {
    const message =
      `the process that serves the card '${this.name}' at ${this.socketPath} has gone, or has been restarted. The guest ` +
      'lives, and reads all ones from the card. Start the process again if need be, and then the run; ' +
      'a program that uses Rig can give the new card to the guest that runs (restartCard)';
    this.modelErrors.push(new Error(message));
    this.onLost(message);
  }
}

/**
 * What a failure means when QEMU has found nobody at the socket of one of these cards. It cannot be found out before: to
 * ask the socket is to be its server's client, and there are servers that end with their first one.
 */
export function explainRefusal(
  error: unknown,
  cards: readonly { readonly name: string; readonly socketPath?: string }[],
): unknown {
  const text = error instanceof Error ? error.message : '';
  const refused = ({ socketPath = '' }) => text.includes(`Failed to connect to '${socketPath}': Connection refused`);
  const lost = cards.find(refused);
  if (lost === undefined) return error;
  return new Error(
    `nobody serves the card '${lost.name}' at ${lost.socketPath}: the socket is there, but its process has ended ` +
      '(connection refused). Start the process again first',
    { cause: error },
  );
}
