/** Every command as a well-formed client sends it, for cases that are about messages rather than about their meaning. */
import { Command, commandName } from '../../../emulator/vfio-user/wire';
import { type Device } from '../device';
import {
  capabilitiesOf,
  deviceInfoOf,
  irqInfoOf,
  mapOf,
  readOf,
  regionInfoOf,
  regionIoFdsOf,
  setIrqsOf,
  unmapOf,
  versionOf,
  writeMultiOf,
  writeOf,
} from '../messages';
import { PROPOSED, type Trial } from '../trial';

/** Interrupt Line: a byte of configuration space that software may write (PCI Local Bus 3.0, 6.2.4). */
export const INTERRUPT_LINE = 0x3c;
const PAGE = 4096n;

export interface Sample {
  readonly command: number;
  /** Bytes of the payload without which the command has no meaning. */
  readonly fixedBytes: number;
  readonly payload: (device: Device) => Buffer;
  /** Descriptors that it takes. */
  readonly descriptors?: (trial: Trial) => number[];
  /** What must have been done before it can succeed. */
  readonly after?: Sample;
  /** Some servers refuse it, rightly. */
  readonly isOptional?: boolean;
}

const map: Sample = {
  command: Command.DMA_MAP,
  fixedBytes: 32,
  payload: () => mapOf({ iova: 0x1000_0000n, sizeBytes: PAGE }),
  descriptors: (t) => [t.memory(Number(PAGE))],
};

/** In an order in which all of them succeed in one session. */
export const SAMPLES: readonly Sample[] = [
  map,
  { command: Command.DMA_UNMAP, fixedBytes: 24, payload: () => unmapOf(0x1000_0000n, PAGE), after: map },
  { command: Command.DEVICE_GET_INFO, fixedBytes: 4, payload: () => deviceInfoOf() },
  { command: Command.DEVICE_GET_REGION_INFO, fixedBytes: 12, payload: ({ config }) => regionInfoOf(config.index) },
  {
    command: Command.DEVICE_GET_REGION_IO_FDS,
    fixedBytes: 12,
    payload: ({ config }) => regionIoFdsOf(config.index),
    isOptional: true,
  },
  { command: Command.DEVICE_GET_IRQ_INFO, fixedBytes: 12, payload: () => irqInfoOf(0) },
  {
    command: Command.DEVICE_SET_IRQS,
    fixedBytes: 20,
    payload: (device) => {
      const { index } = device.irq(({ count, eventfd }) => count > 0 && eventfd, 'interrupt with eventfds');
      return setIrqsOf({ flags: 0x24, index, count: 1 });
    },
    descriptors: (t) => [t.eventfd()],
  },
  { command: Command.REGION_READ, fixedBytes: 16, payload: ({ config }) => readOf(config.index, 0, 4) },
  {
    command: Command.REGION_WRITE,
    fixedBytes: 17,
    payload: ({ config }) => writeOf(config.index, INTERRUPT_LINE, Uint8Array.of(5)),
  },
  {
    command: Command.DEVICE_RESET,
    fixedBytes: 0,
    payload: () => Buffer.alloc(0),
    isOptional: true,
  },
  {
    command: Command.REGION_WRITE_MULTI,
    fixedBytes: 8,
    payload: ({ config }) => writeMultiOf([{ region: config.index, offset: INTERRUPT_LINE, data: Uint8Array.of(6) }]),
    isOptional: true,
  },
];

export const VERSION_PAYLOAD = versionOf(capabilitiesOf(PROPOSED));

export const slugOf = (command: number): string => commandName(command).toLowerCase().replaceAll(/[ _]/g, '-');
