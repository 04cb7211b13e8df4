/** DEVICE_SET_IRQS: turns passed eventfds into interrupt sinks, and the request into the device's `SetIrqs`. */
import { type Native } from '../native';
import { type SetIrqsRequest } from './codec';
import { DeviceError, type IrqAction, type IrqSink, type Device } from '../device';
import { EINVAL, EOPNOTSUPP } from './errno';

class EventfdSink implements IrqSink {
  #fd: number | undefined;

  constructor(
    private readonly native: Native,
    fd: number,
  ) {
    this.#fd = fd;
  }

  trigger(): void {
    if (this.#fd !== undefined) this.native.eventfdWrite(this.#fd);
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) this.native.close(fd);
  }
}

/** Executes the request. Takes ownership of `descriptors`, even if it fails. @throws DeviceError */
export function setIrqs(native: Native, device: Device, request: SetIrqsRequest, descriptors: readonly number[]): void {
  const { index, start, count } = request;
  const sinks = descriptors.map((fd) => new EventfdSink(native, fd));
  try {
    if (descriptors.length > 0 && request.data !== 'eventfd') {
      throw new DeviceError(EINVAL, `DEVICE_SET_IRQS: received ${descriptors.length} descriptors without DATA_EVENTFD`);
    }
    if (!descriptors.every((fd) => native.isEventfd(fd))) {
      throw new DeviceError(EINVAL, 'DEVICE_SET_IRQS: a descriptor is not an eventfd');
    }
    device.setIrqs({ index, start, count, action: actionOf(request, sinks) });
  } catch (error) {
    for (const sink of sinks) sink.close();
    throw error;
  }
}

function actionOf(request: SetIrqsRequest, sinks: readonly IrqSink[]): IrqAction {
  const { data, action, count, vectors } = request;
  if (data === 'none' && action === 'trigger' && count === 0) return { kind: 'sinks', sinks: [] };
  if (data === 'none') return { kind: action };
  if (data === 'bool') return { kind: action, vectors };
  if (action !== 'trigger') {
    // An eventfd that the device writes when it masks is only useful to a client inside the kernel (KVM's irqfd).
    throw new DeviceError(EOPNOTSUPP, `DEVICE_SET_IRQS: eventfds for ${action} are not supported`);
  }
  if (sinks.length === 0) return { kind: 'sinks', sinks: Array.from({ length: count }, () => undefined) };
  if (sinks.length !== count) {
    throw new DeviceError(EINVAL, `DEVICE_SET_IRQS: received ${sinks.length} eventfds for ${count} vectors`);
  }
  return { kind: 'sinks', sinks };
}
