/** The device interface for any virtual machine monitor. Protocol-independent: the transport and PCI both import it. */
export * from './device';
export { ForwardingDevice } from './forwarding-device';
export { ReplaceableDevice } from './replaceable-device';
