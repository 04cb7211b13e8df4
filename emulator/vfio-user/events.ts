/** Events that a server reports to the program that runs it. */
import { errnoName } from './errno';
import { commandName, isCommand } from './wire';

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

/** Events of one kind, all of which are said. */
const SAID = 100;

/** Events as lines of a log. A client can cause any number of them: those that come again and again are counted. */
export class EventLines {
  readonly #times = new Map<string, number>();

  constructor(private readonly say: (text: string, event: ServerEvent) => void) {}

  readonly add = (event: ServerEvent): void => {
    const key = keyOf(event);
    const times = (this.#times.get(key) ?? 0) + 1;
    this.#times.set(key, times);
    if (times < SAID) return this.say(describeEvent(event), event);
    if (!Number.isInteger(Math.log10(times))) return;
    const counted = `${times} times by now; the next that is said is the one with number ${times * 10}`;
    this.say(`${describeEvent(event)} (${counted})`, event);
  };

  /** At the end: how often each was that has not been said every time. */
  conclude(): string[] {
    return [...this.#times].filter(([, times]) => times > SAID).map(([key, times]) => `${key}: ${times} times`);
  }
}

/** As few as there are kinds of them, whatever the client sends. */
function keyOf(event: ServerEvent): string {
  if (event.kind !== 'refused') return event.kind;
  const command = isCommand(event.command) ? commandName(event.command) : 'an unknown command';
  return `refused ${command} (${errnoName(event.errno)})`;
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));
