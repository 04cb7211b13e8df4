/**
 * A UNIX socket on which the runner listens for one client, QEMU. The runner listens and QEMU connects, not the other
 * way round, so that nobody has to look again and again whether a socket has appeared.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

export class OneClient {
  /** The connection, once it is there. */
  readonly connection: Promise<Socket>;
  private socket: Socket | undefined;

  private constructor(private readonly server: Server) {
    this.connection = new Promise((resolve) => {
      server.once('connection', (socket) => {
        this.socket = socket;
        // A killed QEMU resets its connections; what that means is decided by whoever waits for QEMU's end.
        socket.on('error', () => {});
        server.close();
        resolve(socket);
      });
    });
  }

  static async listen(path: string): Promise<OneClient> {
    const server = createServer().unref();
    const client = new OneClient(server);
    server.listen(path);
    await once(server, 'listening');
    return client;
  }

  /** The connection was there, and has ended. */
  get isLost(): boolean {
    return this.socket !== undefined && (this.socket.readableEnded || this.socket.destroyed);
  }

  close(): void {
    this.server.close();
    this.socket?.destroy();
  }
}
