/** Events that a server reports to the program that runs it. */
import { errnoName } from './errno';
import { commandName } from './wire';

export type ServerEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly reason: string }
  /** A request of the client was refused with `errno`. */
  | { readonly kind: 'refused'; readonly command: number; readonly errno: number; readonly message: string }
  /** The device threw an exception other than a DeviceError: a model error. The client gets EIO. */
  | { readonly kind: 'device-error'; readonly error: unknown }
  /** The server has a problem of its own, for example no free descriptors. It continues when it can. */
  | { readonly kind: 'server-error'; readonly error: unknown };

/** One line for a log. */
export function describeEvent(event: ServerEvent): string {
  switch (event.kind) {
    case 'connected':
      return 'client connected';
    case 'disconnected':
      return `client disconnected: ${event.reason}`;
    case 'refused':
      return `refused ${commandName(event.command)} (${errnoName(event.errno)}): ${event.message}`;
    case 'device-error':
      return `the device failed: ${stackOf(event.error)}`;
    case 'server-error':
      return `the server failed: ${stackOf(event.error)}`;
  }
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));
