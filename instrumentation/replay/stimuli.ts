/** Does to a card what a trace says was done to it, at the device time that the trace says. */
import { StillClock } from '../../emulator/clock/still-clock';
import { type Device } from '../../emulator/device';
import { type IrqSetupEvent, type MapEvent, type StimulusEvent } from '../trace';

/** Stands at the time of the stimulus in the trace. When the trace says that a task ran, the next that is due runs. */
export class ReplayClock extends StillClock {
  moveTo(timeNs: number): void {
    this.nowNs = timeNs;
  }

  override takeDue(): (() => void) | undefined {
    return super.takeDue();
  }
}

/** What the client of a device does. Tasks, DMA by message and the loss of the link concern more than the device. */
type ClientStimulus = Exclude<StimulusEvent, { readonly kind: 'dma-read' | 'dma-write' | 'task' | 'link-down' }>;

/** `onInterrupt` is called when the device triggers a vector that the stimulus connects. */
export function stimulate(device: Device, event: ClientStimulus, onInterrupt: () => void): void {
  switch (event.kind) {
    case 'read':
      return device.readRegion(event.region, event.offset, new Uint8Array(event.data.length));
    case 'write':
      return device.writeRegion(event.region, event.offset, event.data.slice());
    case 'map':
      return device.mapDma(mappingOf(event));
    case 'unmap':
      return void device.unmapDma(BigInt(event.iova), BigInt(event.sizeBytes));
    case 'irq-setup':
      return device.setIrqs(irqsOf(event, onInterrupt));
    case 'reset':
      return device.reset();
    default:
      return event satisfies never; // a new kind of stimulus: say what it does
  }
}

const mappingOf = ({ iova, sizeBytes, readable, writable }: MapEvent) => ({
  ...{ iova: BigInt(iova), sizeBytes: BigInt(sizeBytes), readable, writable },
  backing: { kind: 'none' } as const,
});

function irqsOf({ index, start, count, action, vectors }: IrqSetupEvent, trigger: () => void) {
  if (action !== 'sinks') return { index, start, count, action: { kind: action, ...(vectors && { vectors }) } };
  const sinks = (vectors ?? []).map((isConnected) => (isConnected ? { trigger, close: () => {} } : undefined));
  return { index, start, count, action: { kind: action, sinks } };
}
