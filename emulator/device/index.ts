/** What any virtual machine monitor needs of a device. Knows no protocol: the transport imports it, as PCI does. */
export * from './device';
export { ForwardingDevice } from './forwarding-device';
