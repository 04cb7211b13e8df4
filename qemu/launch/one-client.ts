/**
 * A UNIX socket on which the runner listens for one client, QEMU. QEMU connects to the runner and not the reverse, so
 * that the runner need not poll until a socket appears.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

export class OneClient {
  /** Resolves with the connection once the client has connected. */
  readonly connection: Promise<Socket>;
  private socket: Socket | undefined;

  private constructor(private readonly server: Server) {
    this.connection = new Promise((resolve) => {
      server.once('connection', (socket) => {
        this.socket = socket;
        // A killed QEMU resets its connections. Whoever waits for QEMU's exit handles that.
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

  /** The client had connected, and the connection has ended. */
  get isLost(): boolean {
    return this.socket !== undefined && (this.socket.readableEnded || this.socket.destroyed);
  }

  close(): void {
    this.server.close();
    this.socket?.destroy();
  }
}
