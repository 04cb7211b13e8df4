/** Does to a card what a trace says was done to it. */
import { type Device } from '../../emulator/device';
import { type MapEvent, type IrqSetupEvent, type TraceEvent } from '../trace';

/** What a trace's stimulus becomes; tasks, DMA by message and the end of the link are the player's own. */
export function stimulate(device: Device, event: TraceEvent, onInterrupt: () => void): void {
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
