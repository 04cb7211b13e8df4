/** Commands in the guest: their environment variables, how they ended, and the report of an app. */
import { type ExecResult } from '../channel';
import { type BoundCard } from '../launch';

/**
 * What a command finds in its environment: GHOSTCARD_PCI_ADDRESS and GHOSTCARD_DEVICE of the first card, with _2, _3 …
 * for those after it. For a card under a driver for platform devices also GHOSTCARD_PLATFORM_DEVICE, the name of the
 * first device, and, where there are several, GHOSTCARD_PLATFORM_DEVICES: "NAME=NODE NAME=NODE".
 */
export function cardVariables(cards: readonly BoundCard[]): Record<string, string> {
  const entries = cards.flatMap(({ pciAddress, node, platformDevices = [] }, index) => {
    const suffix = index === 0 ? '' : `_${index + 1}`;
    return [
      [`GHOSTCARD_PCI_ADDRESS${suffix}`, pciAddress],
      [`GHOSTCARD_DEVICE${suffix}`, node],
      ...platformDevices.slice(0, 1).map(({ name }) => [`GHOSTCARD_PLATFORM_DEVICE${suffix}`, name]),
      ...(platformDevices.length > 1
        ? [
            [
              `GHOSTCARD_PLATFORM_DEVICES${suffix}`,
              platformDevices.map(({ name, node }) => `${name}=${node}`).join(' '),
            ],
          ]
        : []),
    ];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

/** In words, for marks in a trace. */
export function wordEnd(end: ExecResult | Error): string {
  if (end instanceof Error) return `failed, ${end.message.split('\n')[0]}`;
  if (end.timedOut) return 'was killed at its time limit';
  return end.signal === undefined ? `ended with exit code ${end.exitCode}` : `was ended by ${end.signal}`;
}

/** The line of JSON that every app of guest-tools prints at its end when given `--json`. */
export interface AppReport {
  readonly app: string;
  readonly ok: boolean;
  readonly driver: string;
  readonly irq_mode: string;
  /** Payload bytes moved and verified. */
  readonly bytes: number;
  readonly interrupts: number;
  /** Run time of what the app measures, on the guest's clock. */
  readonly seconds: number;
  /** The part of it in which the card moved data; 0 where that is not measured separately. */
  readonly dma_seconds: number;
  /** Comparisons made, and how many of them failed. */
  readonly checks: number;
  readonly failed: number;
  /** What the kernel driver does not offer; each is a line of text, "not possible with DRIVER: reason". */
  readonly not_possible: number;
  /** Why the app could not go on, if it could not. */
  readonly error?: string;
}

/** Throws, with the app's output, when its last line is no report. */
export function appReport(argv: readonly string[], result: ExecResult): AppReport {
  const lines = result.stdout.toString().trimEnd().split('\n');
  const last = lines.at(-1) ?? '';
  try {
    return JSON.parse(last) as AppReport;
  } catch {
    const how = result.signal ?? (result.timedOut ? 'its time limit' : `exit code ${result.exitCode}`);
    throw new Error(
      `${argv.join(' ')} ended with ${how} and without its report.\nIts output:\n${lines.slice(-20).join('\n')}\n` +
        `Its errors:\n${result.stderr.toString().trimEnd()}`,
    );
  }
}
