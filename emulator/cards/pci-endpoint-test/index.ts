export { PciEndpointTestCard, type PciEndpointTestCardOptions } from './card';
export { IRQ_TYPES, PCI_ENDPOINT_TEST_REGISTERS } from './registers';
