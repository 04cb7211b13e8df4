/** What a server tells whoever runs it. */
import { errnoName } from './errno';
import { commandName } from './wire';

export type ServerEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly reason: string }
  /** The client asked for something that it was told cannot be done. */
  | { readonly kind: 'refused'; readonly command: number; readonly errno: number; readonly message: string }
  /** The device threw something that is no DeviceError: a fault of the card. The client was told EIO. */
  | { readonly kind: 'device-error'; readonly error: unknown }
  /** The server itself is in trouble, for example out of descriptors, and goes on when it can. */
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
